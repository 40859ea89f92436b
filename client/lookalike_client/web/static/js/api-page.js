// The description of the API, for people.

import { fill, h, visible } from "./dom.js";

const main = document.getElementById("main");
const theme = localStorage.getItem("theme");
if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;

function kind(schema) {
  if (schema.$ref) {
    const name = schema.$ref.split("/").at(-1);
    return h("a", { href: `#schema-${name}` }, h("code", {}, name));
  }
  if (schema.type === "array") return ["list of ", kind(schema.items)];
  if (schema.enum) return h("code", {}, "enum");
  return h("code", {}, schema.contentEncoding ?? schema.format ?? schema.type);
}

function fields(schema) {
  const rows = Object.entries(schema.properties ?? {});
  if (!rows.length) return h("p", { class: "muted small" }, "no fields");
  return h("div", { class: "scroll" }, h("table", {}, h("tbody", {}, rows.map(([name, own]) => h("tr", {},
    h("th", { scope: "row" }, h("code", {}, name)), h("td", {}, kind(own)),
    h("td", { class: "muted small wrap" }, visible(own.description ?? ""), own.enum ? [" ", own.enum.map((each) => h("code", {}, `${each} `))] : null))))));
}

function example(method, path, operation) {
  const address = `${location.origin}${path}`;
  const content = operation.requestBody?.content ?? {};
  const parts = [`curl -H "Authorization: Bearer $TOKEN"`];
  if (content["application/json"]) parts.push(`-H "Content-Type: application/json"`, `-d '${path.endsWith("/search") ? '{"collection": "photos", "queries": [{"id": "a.jpg"}], "limit": 10}' : "{…}"}'`);
  if (content["multipart/form-data"]) parts.push("-F image=@photo.jpg", `-F 'request=${path.includes("search") ? '{"collection": "photos", "limit": 10}' : '{"collection": "photos", "upload": {"id": "photo.jpg"}}'}'`);
  return h("pre", { tabIndex: 0 }, `${parts.join(" \\\n  ")} \\\n  ${address}`);
}

function call(method, path, operation) {
  const content = operation.requestBody?.content ?? {};
  const json = content["application/json"]?.schema, form = content["multipart/form-data"]?.schema;
  const [[type, answer]] = Object.entries(operation.responses["200"].content);
  return h("section", { class: "panel stack call", id: operation.operationId },
    h("h3", {}, h("span", { class: "verb" }, method.toUpperCase()), ` ${path}`), h("p", {}, operation.summary),
    operation.description && operation.description !== operation.summary ? h("p", { class: "muted small" }, operation.description) : null,
    operation.parameters.length ? h("details", {}, h("summary", {}, "Parameters"), fields({ properties: Object.fromEntries(operation.parameters.map((each) => [each.name, { ...each.schema, description: each.description }])) })) : null,
    json ? h("p", { class: "small" }, "Takes ", kind(json), " as JSON.") : null,
    form ? h("p", { class: "small" }, "Takes a form: the file ", h("code", {}, "image"), " and ", h("code", {}, "request"), ", a ", kind({ $ref: form.properties.request.$ref }), " as JSON without the image.") : null,
    h("p", { class: "small" }, "Answers ", kind(answer.schema), type.includes("ndjson") ? ", one a line, until all have ended." : "."), example(method, path, operation));
}

const document_ = await (await fetch("/api/openapi.json")).json();
const calls = Object.entries(document_.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => [method, path, operation]));
const services = [...new Set(calls.map(([, , operation]) => operation.tags[0]))];
fill(main, h("div", { class: "layout" },
  h("nav", { class: "index", "aria-label": "Calls" }, services.map((service) => [h("h2", {}, service), calls.filter(([, , each]) => each.tags[0] === service).map(([, path, each]) => h("a", { href: `#${each.operationId}` }, path.replace("/api/v1", "")))]), h("h2", {}, h("a", { href: "#messages" }, "Messages"))),
  h("div", { class: "stack" }, h("h1", {}, "JSON API"), h("p", {}, document_.info.description),
    h("p", { class: "muted" }, "Send the token of the link that opened this page as ", h("code", {}, "Authorization: Bearer TOKEN"), ". A failure has a status of 400 or more and says its reason, the field that is to blame, and how long to wait before another try."),
    calls.map(([method, path, operation]) => call(method, path, operation)),
    h("h1", { id: "messages" }, "Messages"),
    Object.entries(document_.components.schemas).map(([name, schema]) => h("section", { class: "panel stack call", id: `schema-${name}` }, h("h3", {}, name), h("p", { class: "muted small" }, schema.description), fields(name === "Error" ? schema.properties.error : schema))))));
if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
