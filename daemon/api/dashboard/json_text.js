// JSON as it was written. JSON.parse rounds numbers beyond 2^53, and forgets how one was written (1.0), so what somebody reads
// or edits is taken from the text. Pure; for text that JSON.parse has taken.

const kToken = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;
const kIndent = "  ";

// The members of an object: their names, and the tokens of their values.
function membersOf(tokens) {
  const members = new Map();
  let depth = 0;
  let value = null;
  tokens.forEach((token, index) => {
    if ("}]".includes(token)) --depth;
    if (depth === 1 && token === ":") {
      value = [];
      members.set(JSON.parse(tokens[index - 1]), value);
    } else if (depth === 1 && token === ",") value = null;
    else if (depth > 0) value?.push(token);
    if ("{[".includes(token)) ++depth;
  });
  return members;
}

// One member or element a line, as JSON.stringify(…, null, 2) does.
function inLines(tokens) {
  let text = "";
  let depth = 0;
  const line = () => `\n${kIndent.repeat(depth)}`;
  tokens.forEach((token, index) => {
    const opened = index > 0 && "{[".includes(tokens[index - 1]);
    const closes = "}]".includes(token);
    if (closes) --depth;
    if (closes ? !opened : opened) text += line();
    text += token;
    if ("{[".includes(token)) ++depth;
    if (token === ",") text += line();
    if (token === ":") text += " ";
  });
  return text;
}

// The text of each member of the object `text`, by its name, laid out to be read.
export function memberTexts(text) {
  const texts = {};
  for (const [name, tokens] of membersOf(text.match(kToken))) texts[name] = inLines(tokens);
  return texts;
}
