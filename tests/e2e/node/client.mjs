// A client in another language that knows nothing but the .proto files:
// node client.mjs PROTO_DIR ADDRESS IMAGE_FILE
// Prints what it saw as one JSON document.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";
import protobuf from "protobufjs";

const [protoDir, address, imageFile] = process.argv.slice(2);
const files = ["collection", "search", "ingest"].map((name) => join(protoDir, `lookalike/v1/${name}.proto`));
const definition = loader.loadSync(files, { keepCase: true, includeDirs: [protoDir], enums: String, longs: Number, defaults: true, oneofs: true });
const v1 = grpc.loadPackageDefinition(definition).lookalike.v1;
const credentials = grpc.credentials.createInsecure();
// An answer may hold 64 MiB; without this the library ends a call at 4 MiB.
const options = { "grpc.max_receive_message_length": 64 * 1024 * 1024 };
const collections = new v1.CollectionService(address, credentials, options);
const ingest = new v1.IngestService(address, credentials, options);
const search = new v1.SearchService(address, credentials, options);

// The standard error model, for reading `grpc-status-details-bin`.
const rpc = protobuf.parse(`
  syntax = "proto3";
  package google.rpc;
  message Any { string type_url = 1; bytes value = 2; }
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message ErrorInfo { string reason = 1; string domain = 2; }
  message FieldViolation { string field = 1; string description = 2; }
  message BadRequest { repeated FieldViolation field_violations = 1; }
`, { keepCase: true }).root;

const seen = {};

function call(client, method, request) {
  return new Promise((resolve, reject) => {
    const deadline = new Date(Date.now() + 60_000);
    client[method](request, { deadline }, (error, response) => (error ? reject(error) : resolve(response)));
  });
}

function readError(error) {
  const read = { code: error.code, details: error.details };
  const [packed] = error.metadata.get("grpc-status-details-bin");
  const status = rpc.lookupType("google.rpc.Status").decode(packed);
  for (const { type_url: url, value } of status.details) {
    const name = url.split("/").pop();
    if (name === "google.rpc.ErrorInfo") read.info = rpc.lookupType(name).decode(value);
    if (name === "google.rpc.BadRequest") {
      read.fields = rpc.lookupType(name).decode(value).field_violations.map((violation) => violation.field);
    }
  }
  return read;
}

async function expectError(promise) {
  try {
    await promise;
  } catch (error) {
    return readError(error);
  }
  throw new Error("the call succeeded");
}

function submit(requests) {
  return new Promise((resolve, reject) => {
    const answers = [];
    const stream = ingest.SubmitImages({ deadline: new Date(Date.now() + 60_000) });
    stream.on("data", (answer) => answers.push(answer));
    stream.on("error", reject);
    stream.on("end", () => resolve(answers));
    requests.forEach((request) => stream.write(request));
    stream.end();
  });
}

function watch(jobId) {
  return new Promise((resolve, reject) => {
    const outcomes = [];
    const stream = ingest.WatchIngest({ job_id: jobId }, { deadline: new Date(Date.now() + 60_000) });
    stream.on("data", (event) => outcomes.push(event.result));
    stream.on("error", reject);
    stream.on("end", () => resolve(outcomes));
  });
}

const image = readFileSync(imageFile);
const collection = `node-${process.pid}`;
const job_id = `job-${process.pid}`;
seen.created = (await call(collections, "CreateCollection", { name: collection, model: "" })).collection;
seen.accepted = await submit([
  { request_id: 1, collection, job_id, upload: { id: "photo", image, metadata: { fields: { kind: { stringValue: "test" } } } } },
  { request_id: 2, collection, job_id, upload: { id: "broken", image: Buffer.from("not an image") } },
  { request_id: 3, collection: "nowhere", job_id, upload: { id: "photo", image } },
]);
seen.outcomes = await watch(job_id);
const found = await call(search, "Search", { collection, queries: [{ image }], limit: 3, fields: { metadata: true } });
seen.hits = found.results[0].hits;
seen.unknownCollection = await expectError(call(search, "Search", { collection: "nowhere", queries: [{ image }] }));
seen.wrongDimension = await expectError(
  call(search, "Search", { collection, queries: [{ vector_f32_le: Buffer.alloc(8, 1) }] }),
);
await call(collections, "DeleteCollection", { name: collection });
process.stdout.write(JSON.stringify(seen, null, 1));
