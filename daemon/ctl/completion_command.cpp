// `completion bash|zsh|fish`: a script that has the shell ask `outboxctl complete`, which run.cpp answers.
#include <memory>
#include <string>

#include "ctl/commands.h"

namespace outboxd::ctl {
namespace {

constexpr const char* kBash = R"sh(# outboxctl completion bash > /etc/bash_completion.d/outboxctl
_outboxctl() {
  local found word
  COMPREPLY=()
  mapfile -t found < <(outboxctl complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2> /dev/null)
  for word in "${found[@]}"; do COMPREPLY+=("$(printf '%q' "$word")");
done
}
complete -o default -F _outboxctl outboxctl
)sh";

// The last line: run where compinit found it, it is the function itself, called for the first time; else it is sourced.
constexpr const char* kZsh = R"sh(#compdef outboxctl
# outboxctl completion zsh > "${fpath[1]}/_outboxctl"
_outboxctl() {
  local -a found
  found=("${(@f)$(outboxctl complete -- "${(@)words[2,CURRENT]}" 2> /dev/null)}")
  if [[ -n "${found[*]}" ]]; then compadd -- "${found[@]}"; else _files; fi
}
if [[ ${funcstack[1]} == _outboxctl ]]; then _outboxctl "$@"; else compdef _outboxctl outboxctl; fi
)sh";

constexpr const char* kFish = R"sh(# outboxctl completion fish > ~/.config/fish/completions/outboxctl.fish
complete -c outboxctl -a '(outboxctl complete -- (commandline -opc)[2..-1] (commandline -ct) 2> /dev/null)'
)sh";

}  // namespace

void add_completion(CLI::App& app, Session& session) {
  CLI::App* command =
      add_command(app, "completion", "A script for your shell, with the names of the endpoints",
                  "source <(outboxctl completion bash)");
  command->group(kLook);
  auto shell = std::make_shared<std::string>();
  command->add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->callback([&session, shell] {
    session.action = [&session, shell] {
      session.print(*shell == "bash" ? kBash : *shell == "zsh" ? kZsh : kFish);
      return kExitOk;
    };
  });
}

}  // namespace outboxd::ctl
