// node dist/src/main.js [--ca PEM] [--cert PEM] [--key PEM] [--token-file FILE] ADDRESS [IMAGE]
// Stores and searches vectors, then, with IMAGE, a picture; prints what it saw as JSON.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { ServiceError } from "@grpc/grpc-js";
import { connect } from "./connect.js";
import type { CreateCollectionResponse__Output as Created } from "../stubs/lookalike/v1/CreateCollectionResponse.js";
import type { SearchResponse__Output as Found } from "../stubs/lookalike/v1/SearchResponse.js";
import type { SubmitImagesResponse__Output as Submitted } from "../stubs/lookalike/v1/SubmitImagesResponse.js";
import type { UpsertVectorsResponse__Output as Upserted } from "../stubs/lookalike/v1/UpsertVectorsResponse.js";
import type { WatchIngestResponse__Output as Watched } from "../stubs/lookalike/v1/WatchIngestResponse.js";
import { failureOf, type Failure } from "./errors.js";

const EXAMPLES = new URL("../../../", import.meta.url).pathname;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ca: { type: "string" },
    cert: { type: "string" },
    key: { type: "string" },
    "token-file": { type: "string" },
    protos: { type: "string", default: `${EXAMPLES}../../protos` },
    "service-config": { type: "string", default: `${EXAMPLES}service-config.json` },
  },
});
const [address, image] = positionals;
if (!address) throw new Error("give the address of a search service");
const services = connect(values.protos, values["service-config"], address, {
  ...values,
  tokenFile: values["token-file"],
});
const waits: Failure[] = [];

/** A call's deadline: without one it may wait for ever. */
function within(seconds: number): { deadline: Date } {
  return { deadline: new Date(Date.now() + seconds * 1000) };
}

type Answered<T> = (error: ServiceError | null, answer?: T) => void;

/** Make a call; where the service says when to try again, do so. */
async function call<T>(start: (done: Answered<T>) => unknown): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await new Promise<T>((resolve, reject) =>
        start((error, answer) => (error ? reject(error) : resolve(answer as T))),
      );
    } catch (error) {
      const failure = failureOf(error as ServiceError);
      if (failure.retry_ms === null || attempt === 10) throw error;
      waits.push(failure);
      await setTimeout(failure.retry_ms);
    }
  }
}

async function failureFrom(attempt: Promise<unknown>): Promise<Failure> {
  const failed = await attempt.then(
    () => null,
    (error: ServiceError) => failureOf(error),
  );
  if (failed === null) throw new Error("the call succeeded");
  return failed;
}

/** Little-endian float32, as vectors travel. */
function vector(...components: number[]): Buffer {
  const bytes = Buffer.alloc(4 * components.length);
  components.forEach((each, at) => bytes.writeFloatLE(each, 4 * at));
  return bytes;
}

function metadata(colour: string, price: number) {
  return { fields: { colour: { stringValue: colour }, price: { numberValue: price } } };
}

async function vectors() {
  const { collections, search } = services;
  const collection = `example-${randomUUID()}`;
  const create = { name: collection, dimension: 3, external_vectors: true };
  await call<unknown>((done) => collections.CreateCollection(create, within(30), done));
  const stream = search.UpsertVectors(within(60));
  stream.end({
    collection,
    items: [
      { id: "red", vector_f32_le: vector(1, 0, 0), metadata: metadata("red", 10) },
      { id: "pink", vector_f32_le: vector(0.9, 0.3, 0.3), metadata: metadata("red", 80) },
      { id: "blue", vector_f32_le: vector(0, 0, 1), metadata: metadata("blue", 10) },
      { id: "short", vector_f32_le: vector(1, 0) },
    ],
  });
  const stored: Record<string, string> = {};
  for await (const answer of stream as AsyncIterable<Upserted>) {
    for (const { id, status, error } of answer.results) stored[id] = error?.reason || status;
  }
  const query = { vector_f32_le: vector(1, 0.1, 0.1) };
  const asked = {
    collection,
    queries: [query],
    limit: 10,
    filter: { expression: 'colour = "red" and price < 50' },
    fields: { metadata: true },
  };
  const found = await call<Found>((done) => search.Search(asked, within(10), done));
  const hits = found.results[0]?.hits.map(({ id, score, item }) => ({
    id,
    score,
    colour: item?.metadata?.fields?.["colour"]?.stringValue,
  }));
  const errors = {
    nowhere: await failureFrom(
      call((done) => search.Search({ collection: "nowhere", queries: [query] }, within(10), done)),
    ),
    short: await failureFrom(
      call((done) =>
        search.Search({ collection, queries: [{ vector_f32_le: vector(1) }] }, within(10), done),
      ),
    ),
  };
  await call<unknown>((done) => collections.DeleteCollection({ name: collection }, within(30), done));
  return { stored, hits, errors };
}

async function images(file: string) {
  const { collections, ingest, search } = services;
  const picture = readFileSync(file);
  const collection = `example-${randomUUID()}`;
  const job_id = collection;
  // An empty model takes the embedder's default one.
  const create = { name: collection, model: "" };
  const made = await call<Created>((done) => collections.CreateCollection(create, within(30), done));

  const submission = ingest.SubmitImages(within(60));
  submission.write({ request_id: 1, collection, job_id, upload: { id: "photo", image: picture } });
  submission.write({ request_id: 2, collection, job_id, upload: { id: "broken", image: Buffer.from("no image") } });
  submission.write({ request_id: 3, collection: "nowhere", job_id, upload: { id: "photo", image: picture } });
  submission.end();
  const submitted: Record<number, string> = {};
  for await (const answer of submission as AsyncIterable<Submitted>) {
    submitted[answer.request_id] = answer.accepted ? "accepted" : (answer.error?.reason ?? "");
  }
  // Until each that was accepted is searchable or has failed.
  const outcomes: Record<string, string> = {};
  for await (const { result } of ingest.WatchIngest({ job_id }, within(120)) as AsyncIterable<Watched>) {
    if (result) outcomes[result.id] = result.error?.reason || result.status;
  }
  const asked = { collection, queries: [{ image: picture }], limit: 3 };
  const found = await call<Found>((done) => search.Search(asked, within(30), done));
  const hits = found.results[0]?.hits.map(({ id, score }) => ({ id, score }));
  await call<unknown>((done) => collections.DeleteCollection({ name: collection }, within(30), done));
  return { dimension: made.collection?.dimension, submitted, outcomes, hits };
}

const seen = { vectors: await vectors(), images: image ? await images(image) : null, waits };
services.close();
process.stdout.write(`${JSON.stringify(seen, null, 2)}\n`);
