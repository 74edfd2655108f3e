#include "app/app.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <future>

#include "api/auth.h"
#include "api/routes.h"
#include "app/change_watch.h"
#include "app/delivery_picture.h"
#include "app/delivery_view.h"
#include "app/fact_router.h"
#include "app/listeners.h"
#include "app/loop_status.h"
#include "app/open_store.h"
#include "app/options.h"
#include "app/prepared_request.h"
#include "app/process.h"
#include "app/relays.h"
#include "app/service_status.h"
#include "app/settings_in_effect.h"
#include "app/store_steps.h"
#include "common/secret_file.h"
#include "ingest/batch_targets.h"
#include "runtime/service_manager.h"
#include "store/fail_stop.h"
#include "version.h"

namespace outboxd {
namespace {

constexpr Millis kStuck = std::chrono::seconds(20);  // without progress a loop or the writer is not healthy
constexpr Millis kHousekeepingInterval = std::chrono::seconds(1);
constexpr int kOthersCounted = 10;  // in one of so many, types of events that others accepted are counted

struct OpenFiles {
  std::int64_t limit = 0;
  std::int64_t wanted = 0;  // by the configuration as it was given
};

class App {
 public:
  App(const config::Config& config, const config::Loaded& given, const config::Sources& sources,
      OpenFiles open_files);
  int run();

 private:
  void start();
  void stop();
  void abandon();
  void end_background();
  void reload();
  void apply_policy();
  void run_housekeeping();
  void watch_disk();
  api::Context make_context();
  api::DaemonSetup setup() const;
  void ask_loops_for_picture(DeliveryPictures::Asked asked);
  std::optional<std::string> why_not_healthy() const;

  config::Config config_;
  SettingsInEffect settings_;
  const config::Sources& sources_;
  const OpenFiles open_files_;
  const std::string config_file_;           // "": there was none
  std::atomic<std::int64_t> free_disk_{0};  // [retention] free_disk, which a reload changes
  SystemClock clock_;
  UuidGenerator ids_{clock_};
  telemetry::Metrics metrics_;
  ClockSteps clock_steps_;
  api::AttemptFeed attempts_;
  ServiceManager manager_;
  const std::shared_ptr<const SecretBox> secret_box_;
  std::unique_ptr<Store> store_;
  ServiceStatus status_{manager_, *store_};
  GroupCommit commits_;
  EndpointDirectory directory_;
  EventLoop main_loop_, background_loop_;
  RemovedEndpoints removed_{commits_, clock_, main_loop_};
  Retention retention_{commits_, clock_, metrics_, main_loop_};
  TypeCounts type_counts_{commits_, main_loop_};
  DeliveryLoops delivery_;
  FanOut fan_out_;
  BatchTargets batch_targets_{directory_, [this] { return retention_.delivered_kept_since(); }};
  Batches batches_{background_loop_, *store_, commits_, clock_, metrics_, batch_targets_.finder()};
  Ingest ingest_;
  OutboxReader outbox_;
  Relays relays_;
  OperationalEvents operational_events_{ingest_, directory_, clock_};
  BacklogWatch backlog_{background_loop_, *store_, config_.limits.backlog,
                        std::bind_front(&OperationalEvents::backlog, &operational_events_)};
  FactRouter facts_{{.directory = directory_,
                     .delivery = delivery_,
                     .attempts = attempts_,
                     .operational_events = operational_events_,
                     .fan_out = fan_out_,
                     .outbox = outbox_,
                     .removed_endpoints = removed_,
                     .retention = retention_,
                     .type_counts = type_counts_,
                     .batches = batches_,
                     .backlog = backlog_},
                    *store_};
  ChangeWatch changes_{*store_, facts_};
  api::ReaderPool readers_;
  const std::shared_ptr<DeliveryPictures> pictures_ = std::make_shared<DeliveryPictures>(
      clock_, [this](DeliveryPictures::Asked asked) { ask_loops_for_picture(std::move(asked)); });
  std::shared_ptr<const api::Authenticator> auth_;
  std::vector<api::Listener> listeners_;
  const std::shared_ptr<api::AuditLog> audit_ = std::make_shared<api::AuditLog>(clock_);
  api::Context context_;
  EventLoop api_loop_;
  api::HttpServer http_server_;
  TokensFile tokens_file_{config_.listen.tokens_file.empty() ? ""
                                                             : secret_file_path(config_.listen.tokens_file)};
  int rounds_ = 0;         // of housekeeping
  std::string tls_error_;  // of the last reload_tls()
  std::thread api_thread_, background_thread_;
  std::atomic<bool> stopping_{false};
};

App::App(const config::Config& config, const config::Loaded& given, const config::Sources& sources,
         OpenFiles open_files)
    : config_(config),
      settings_(given),
      sources_(sources),
      open_files_(open_files),
      config_file_(path_if_there(sources.file)),
      free_disk_(config.retention.free_disk),
      secret_box_(secret_box(config)),
      store_(open_store(config, secret_box_, metrics_, clock_steps_)),
      commits_(store_->writer(), store_->ownership().token, clock_, commit_options(config, metrics_),
               [](const std::string& what) { fail_stop(what); }),
      delivery_(
          {.store = *store_,
           .commits = commits_,
           .clock = clock_,
           .ids = ids_,
           .metrics = metrics_,
           .endpoints_of = [this](const PartitionSet& partitions) { return directory_.of(partitions); }},
          address_policy(config, {}), delivery_options(config, open_files.limit)),
      fan_out_(background_loop_, *store_, commits_, directory_, fan_out_options(config)),
      ingest_(commits_, directory_, clock_, ids_, metrics_, ingest_options(config)),
      outbox_(background_loop_, *store_, ingest_),
      relays_(config, *store_, ingest_, clock_, metrics_),
      readers_([this] { return store_->new_reader(); }),
      auth_(make_authenticator(config)),
      listeners_(open_listeners(config)),
      context_(make_context()),
      http_server_(api_loop_, listeners_, api::all_routes(context_), auth_, metrics_,
                   http_server_options(config, audit_)) {}

api::Context App::make_context() {
  api::Context context{ingest_, directory_, commits_, clock_, ids_, metrics_, readers_, attempts_};
  context.store_url = config_.store.url;
  for (const auto& listener : listeners_) context.listeners.push_back(listener.name);
  context.started_at = clock_.wall();
  context.clock_steps = [this] { return clock_steps_.seen(); };
  context.send_test = [this](const EndpointPtr& endpoint, Event event, std::function<void(Attempt)> done) {
    delivery_.send_test(endpoint, std::make_shared<const Event>(std::move(event)), std::move(done));
  };
  context.batch_targets = &batch_targets_;
  context.sources = [this] { return relays_.status(); };
  context.prepare = [this, defaults = delivery_options(config_, open_files_.limit).loop.engine.request](
                        const EndpointPtr& endpoint, const std::shared_ptr<const Event>& event, int number) {
    return prepare_request(endpoint, event, number, clock_.wall(), ids_, defaults);
  };
  context.setup = [this] { return setup(); };
  context.audit = audit_;
  context.ask_delivery_status = [this](const std::optional<std::string>& tenant,
                                       api::Context::Asked<api::DeliveryStatus> done) {
    pictures_->ask([this, tenant, done = std::move(done)](DeliveryPictures::Make make) {
      done([this, tenant, make = std::move(make)] { return status_of(*make(), tenant, *readers_.lend()); });
    });
  };
  context.ask_lanes = [this](std::optional<EndpointSeq> only, api::Context::Asked<api::Lanes> done) {
    ask_loops(delivery_, api_loop_, only, [this, done = std::move(done)](LoopStatus loops) {
      done([this, loops = std::move(loops)] { return lanes_of(loops.get(), clock_.wall()); });
    });
  };
  context.ask_snapshot = [this](api::Context::Asked<telemetry::Snapshot> done) {
    ask_loops(delivery_, api_loop_, {}, [this, done = std::move(done)](LoopStatus loops) {
      done([this, loops = std::move(loops)] {
        return snapshot_of(loops.get(), directory_, relays_, *store_, *readers_.lend(), clock_.wall());
      });
    });
  };
  context.preflight = [this](EndpointUrl url, EndpointTls tls, api::Context::Preflighted done) {
    delivery_.preflight(std::move(url), std::move(tls),
                        [done = std::move(done)](const DeliveryEngine::Preflight& found) {
                          done(found.outcome, found.error, found.denial);
                        });
  };
  context.encrypt_secrets = std::bind_front(encrypt_secrets, std::ref(commits_));
  if (secret_box_) context.secrets_key = secret_box_->key_id();
  context.prune = std::bind_front(prune, std::ref(retention_));
  context.authenticator = [this] { return http_server_.authenticator(); };
  context.note_refusal = std::bind_front(&api::HttpServer::note_refusal, &http_server_);
  context.dashboard_payloads = config_.dashboard.payloads;
  context.why_not_ready = [this]() -> std::optional<api::NotReady> {
    if (stopping_) return api::NotReady{"stopping"};
    if (std::string why = store_->why_unreachable(); !why.empty())
      return api::NotReady{"the store's server does not serve", std::move(why)};
    if (auto why = why_not_healthy()) return api::NotReady{std::move(*why)};
    return std::nullopt;
  };
  return context;
}

// Any thread: reads only those parts of the configuration that no reload changes.
api::DaemonSetup App::setup() const {
  api::DaemonSetup setup = daemon_setup(config_);
  setup.config_file = config_file_;
  setup.free_disk = free_disk_;
  setup.settings = settings_.all();
  const Ownership ownership = store_->ownership();
  setup.partitions = static_cast<int>(ownership.partitions.count());
  setup.members = ownership.members;
  setup.open_files = open_files_.limit;
  setup.open_files_wanted = open_files_.wanted;
  return setup;
}

std::optional<std::string> App::why_not_healthy() const {
  if (commits_.since_progress() > kStuck) return "the store's writer makes no progress";
  if (delivery_.since_progress() > kStuck) return "the delivery loop makes no progress";
  return std::nullopt;
}

void App::ask_loops_for_picture(DeliveryPictures::Asked asked) {
  ask_loops(delivery_, api_loop_, {}, [this, asked = std::move(asked)](LoopStatus loops) {
    asked([this, loops = std::move(loops)] {
      return std::make_shared<const DeliveryPicture>(
          take_picture(loops, directory_, *readers_.lend(), clock_));
    });
  });
}

// Done again on each reload, because the machine's addresses change too.
void App::apply_policy() {
  delivery_.set_policy(address_policy(config_, own_listeners(listeners_)));
}

// Everything begins with the fact that partitions are ours, which is routed like any other.
void App::start() {
  once_reachable([this] { directory_.load(store_->new_reader()->all_endpoints()); });
  commits_.tell([this](Facts facts) { facts_.route(std::move(facts)); });
  commits_.start();
  apply_policy();
  delivery_.start();
  background_thread_ = start_thread("background", [this] { background_loop_.run(); });
  retention_.set(retention_periods(config_));
  ingest_.when_accepted([this] { type_counts_.events_accepted(); });
  // What the store knows of the time before this start: if the clock has jumped, retention must not believe it.
  once_reachable([this] { facts_.route(store_->wait_for_changes(Millis(0))); });
  facts_.route({PartitionsOwned{store_->ownership().partitions}});
  changes_.start();
  relays_.start();
  http_server_.start();
  api_thread_ = start_thread("api", [this] { api_loop_.run(); });
}

// Ends what makes work by itself: the sources, the commits of others, the SQL outbox, fan-out, retention.
void App::end_background() {
  relays_.stop();
  changes_.stop();
  retention_.stop();
  type_counts_.stop();
  removed_.stop();
  background_loop_.stop();
  if (background_thread_.joinable()) background_thread_.join();
}

// First nothing new comes in, then nothing new goes out, then everything that happened is committed.
void App::stop() {
  stopping_ = true;
  manager_.stopping("finishing what is under way");
  log::info("stopping", {{"in_flight_limit", format_duration(config_.delivery.stop_timeout)}});
  std::promise<void> server_done;
  api_loop_.post([this, &server_done] {
    http_server_.stop_accepting(config_.delivery.stop_timeout, [&server_done] { server_done.set_value(); });
  });
  end_background();
  delivery_.stop(config_.delivery.stop_timeout);
  server_done.get_future().wait();
  commits_.drain();
  delivery_.end_threads();  // checks and tests still running there have no caller any more
  api_loop_.stop();
  api_thread_.join();
  log::info("stopped");
}

// Ends after an error what start() began, also when serving had begun: no thread and no completion may reach a part
// that is already destroyed. Nothing is finished, so outcomes of attempts are lost and those attempts are made again.
void App::abandon() {
  stopping_ = true;
  end_background();
  if (api_thread_.joinable()) {
    api_loop_.stop();
    api_thread_.join();
  }
  delivery_.end_threads();
  commits_.drain();
}

void App::reload() {
  manager_.reloading();
  const auto loaded = config::load(sources_);
  metrics_.config_reload(loaded.has_value());
  if (!loaded) {
    for (const auto& error : loaded.error())
      log::error("reload refused, the old configuration stays", {{"error", error}});
  } else {
    config_.policy = loaded->config.policy;
    config_.retention = loaded->config.retention;
    config_.ingest = loaded->config.ingest;
    free_disk_ = config_.retention.free_disk;
    config_.log = loaded->config.log;
    settings_.reload(*loaded);
    log::configure(config_.log.level, config_.log.format);
    apply_policy();
    tls_error_ = reload_tls(listeners_, "");
    retention_.set(retention_periods(config_));
    ingest_.set_event_types(config_.ingest.event_types);
    log::info("reloaded: [ingest], [policy], [retention], [log] and TLS files; the rest needs a restart");
  }
  status_.ready();
}

void App::watch_disk() {
  if (!config_.store.is_sqlite()) return;  // a server watches its own disks
  if (const auto free = free_bytes_beside(config_.store.path())) ingest_.hold_back(*free < free_disk_);
}

void App::run_housekeeping() {
  if (!tls_error_.empty()) tls_error_ = reload_tls(listeners_, tls_error_);
  if (auto callers = tokens_file_.read_if_changed()) http_server_.set_authenticator(std::move(callers));
  const auto why = why_not_healthy();
  if (why) log::error("not healthy", {{"error", *why}});
  if (!why) manager_.watchdog();
  watch_disk();
  status_.tell_if_changed();
  if (++rounds_ % kOthersCounted == 0 && store_->ownership().members > 1) type_counts_.events_accepted();
  main_loop_.call_at(main_loop_.now() + kHousekeepingInterval, [this] { run_housekeeping(); });
}

int App::run() {
  const sigset_t signals = handled_signals();
  const int fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  main_loop_.watch(fd, EPOLLIN, [this, fd](std::uint32_t) {
    signalfd_siginfo info{};
    while (read(fd, &info, sizeof info) == sizeof info) {
      if (info.ssi_signo == SIGHUP) {
        reload();
      } else {
        log::info("signal received", {{"signal", strsignal(static_cast<int>(info.ssi_signo))}});
        main_loop_.stop();
      }
    }
  });
  try {
    start();
    run_housekeeping();
    for (const auto& listener : listeners_) log::info("listening", {{"on", listener.name}});
    log::info(
        "serving",
        {{"version", OUTBOXD_VERSION}, {"store", config_.store.url}, {"endpoints", directory_.all().size()}});
    status_.ready();
    main_loop_.run();
  } catch (...) {
    abandon();
    throw;
  }
  stop();
  close(fd);
  return 0;
}

}  // namespace

int serve(const config::Loaded& given, const config::Sources& sources) {
  config::Config config = given.config;
  forbid_core_dumps();
  const OpenFiles open_files{raise_descriptor_limit(), descriptors_needed(config)};
  fit_to_descriptors(config, open_files.limit);
  try {
    return App(config, given, sources, open_files).run();
  } catch (const StoppedWaiting& stopped) {
    log::info(stopped.what());
    return 0;
  }
}

}  // namespace outboxd
