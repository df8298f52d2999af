// The same questions, asked through the official packages for JavaScript. Arguments: client, URL, kind.
// Run it where the packages openai, @anthropic-ai/sdk and @google/genai are installed.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(`${process.cwd()}/x.js`));
const load = (name) => import(pathToFileURL(require.resolve(name)));

const QUESTION = "What is the capital of France?";
const SYSTEM = "Answer in one word.";
const SCHEMA = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const FUNCTION = { name: "weather", description: "The weather in a city.", parameters: SCHEMA };
const [client, url, kind] = process.argv.slice(2);
const tool = kind === "tool";

if (client === "chat") {
  const { default: OpenAI } = await load("openai");
  const system = tool ? [{ role: "system", content: SYSTEM }] : [];
  await new OpenAI({ baseURL: `${url}/v1`, apiKey: "k" }).chat.completions.create({
    model: "gpt-4o",
    messages: [...system, { role: "user", content: QUESTION }],
    ...(tool ? { tools: [{ type: "function", function: FUNCTION }] } : {}),
  });
} else if (client === "responses") {
  const { default: OpenAI } = await load("openai");
  await new OpenAI({ baseURL: `${url}/v1`, apiKey: "k" }).responses.create({
    model: "gpt-4o",
    input: QUESTION,
    ...(tool ? { instructions: SYSTEM, tools: [{ type: "function", ...FUNCTION, strict: false }] } : {}),
  });
} else if (client === "messages") {
  const { default: Anthropic } = await load("@anthropic-ai/sdk");
  const { parameters, ...named } = FUNCTION;
  await new Anthropic({ baseURL: url, apiKey: "k" }).messages.create({
    model: "claude-sonnet-5",
    max_tokens: 4096,
    messages: [{ role: "user", content: QUESTION }],
    ...(tool ? { system: SYSTEM, tools: [{ ...named, input_schema: parameters }] } : {}),
  });
} else {
  const { GoogleGenAI } = await load("@google/genai");
  const { parameters, ...named } = FUNCTION;
  const functionDeclarations = [{ ...named, parametersJsonSchema: parameters }];
  await new GoogleGenAI({ apiKey: "k", httpOptions: { baseUrl: url } }).models.generateContent({
    model: "gemini-2.5-flash",
    contents: QUESTION,
    ...(tool ? { config: { systemInstruction: SYSTEM, tools: [{ functionDeclarations }] } } : {}),
  });
}
