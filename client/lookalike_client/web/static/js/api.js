// Requests to the server that this page came from.

import { toast } from "./dom.js";

export const session = { csrf: "", read_only: false, collection: "", max_image_bytes: 0 };

export class Failure extends Error {
  constructor(told, status) {
    super(told.message || "the server does not answer");
    this.reason = told.reason || "UNREACHABLE";
    this.field = told.field || "";
    this.retryDelay = told.retry_delay_s;
    this.status = status;
  }
}

export function address(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== "");
  const query = new URLSearchParams(given).toString();
  return `/ui/${path}${query ? `?${query}` : ""}`;
}

async function ask(url, options) {
  let response;
  try {
    response = await fetch(url, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure({ message: "the server does not answer: is `lookalike web` still running?" }, 0);
  }
  if (response.ok) return response;
  let told = {};
  try { told = (await response.json()).error ?? {}; } catch { /* no JSON: the status has to do */ }
  throw new Failure(told, response.status);
}

const changing = () => ({ "x-lookalike-csrf": session.csrf });

export async function get(path, parameters, signal) {
  return (await ask(address(path, parameters), { signal })).json();
}

export async function post(path, body = {}, signal) {
  const headers = { "content-type": "application/json", ...changing() };
  return (await ask(`/ui/${path}`, { method: "POST", headers, body: JSON.stringify(body), signal })).json();
}

// Sends a file as it is.
export async function send(path, parameters, file, signal) {
  const headers = { "content-type": "application/octet-stream", ...changing() };
  return (await ask(address(path, parameters), { method: "POST", headers, body: file, signal })).json();
}

// Calls `each` with every line of an answer as it comes.
export async function follow(path, parameters, each, signal) {
  const response = await ask(address(path, parameters), { signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const said = JSON.parse(line);
      if (said.error) throw new Failure(said.error, 200);
      each(said);
    }
  }
}

// Follows a task to its end and returns how it stands then.
export async function finish(task, each, signal) {
  for (;;) {
    const said = await get(`task/${encodeURIComponent(task)}`, {}, signal);
    each?.(said);
    if (said.state === "failed") throw new Failure(said.error, 200);
    if (said.state === "done") return said;
    await new Promise((resolve) => setTimeout(resolve, 250));
    if (signal?.aborted) throw new DOMException("left", "AbortError");
  }
}

export function picture(collection, hit) {
  return address("picture", { collection, id: hit.id, v: hit.version || undefined });
}

// Runs what a person asked for; says what went wrong.
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    if (error.name === "AbortError") return undefined;
    if (!(error instanceof Failure)) console.error(error);
    toast(error.field && !error.message.includes(error.field) ? `${error.field}: ${error.message}` : error.message, true);
    return undefined;
  }
}
