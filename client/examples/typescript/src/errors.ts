// What a failed call says besides its code: the standard error model, in a trailer.
import { Metadata, status, type ServiceError } from "@grpc/grpc-js";
import protobuf from "protobufjs";

const rpc = protobuf.parse(
  `syntax = "proto3";
  package google.rpc;
  message Any { string type_url = 1; bytes value = 2; }
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message ErrorInfo { string reason = 1; string domain = 2; }
  message FieldViolation { string field = 1; string description = 2; }
  message BadRequest { repeated FieldViolation field_violations = 1; }
  message Duration { int64 seconds = 1; int32 nanos = 2; }
  message RetryInfo { Duration retry_delay = 1; }`,
  { keepCase: true },
).root;

export interface Failure {
  code: string;
  /** A name of `ErrorReason`, for programs; empty where the service was not reached. */
  reason: string;
  /** The field that is wrong; empty where none is to blame. */
  field: string;
  /** When to try again; null where that would not help. */
  retry_ms: number | null;
}

export function failureOf(error: ServiceError): Failure {
  const failure: Failure = { code: status[error.code] ?? "", reason: "", field: "", retry_ms: null };
  const [trailer] = (error.metadata ?? new Metadata()).get("grpc-status-details-bin");
  if (!(trailer instanceof Buffer)) return failure;
  const { details } = read("Status", trailer);
  for (const { type_url: url, value } of details ?? []) {
    const name = String(url).split("/").pop();
    if (name === "google.rpc.ErrorInfo") failure.reason = read("ErrorInfo", value).reason;
    if (name === "google.rpc.BadRequest") failure.field = read("BadRequest", value).field_violations[0].field;
    if (name === "google.rpc.RetryInfo") {
      const { seconds, nanos } = read("RetryInfo", value).retry_delay;
      failure.retry_ms = Number(seconds) * 1000 + nanos / 1e6;
    }
  }
  return failure;
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- messages without generated types
function read(name: string, bytes: Uint8Array): any {
  const type = rpc.lookupType(`google.rpc.${name}`);
  return type.toObject(type.decode(bytes), { longs: Number, defaults: true, arrays: true, objects: true });
}
