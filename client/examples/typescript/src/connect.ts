// How a client connects: what every program that calls the service should set.
import { readFileSync } from "node:fs";
import * as grpc from "@grpc/grpc-js";
import * as loader from "@grpc/proto-loader";
import type { ProtoGrpcType as Collections } from "../stubs/collection.js";
import type { ProtoGrpcType as Ingest } from "../stubs/ingest.js";
import type { ProtoGrpcType as Search } from "../stubs/search.js";
import type { CollectionServiceClient } from "../stubs/lookalike/v1/CollectionService.js";
import type { IngestServiceClient } from "../stubs/lookalike/v1/IngestService.js";
import type { SearchServiceClient } from "../stubs/lookalike/v1/SearchService.js";

/** PEM files, and the file of an API key. Without `ca` nothing is encrypted. */
export interface Secrets {
  ca?: string;
  cert?: string;
  key?: string;
  tokenFile?: string;
}

export interface Services {
  collections: CollectionServiceClient;
  ingest: IngestServiceClient;
  search: SearchServiceClient;
  close(): void;
}

function options(serviceConfigFile: string): grpc.ChannelOptions {
  return {
    // An answer may hold 64 MiB; unless told otherwise the library ends a call at 4 MiB.
    "grpc.max_receive_message_length": 64 * 1024 * 1024,
    "grpc.max_send_message_length": 64 * 1024 * 1024,
    // Retries of calls that may be repeated, and all addresses of a name in turn.
    "grpc.service_config": readFileSync(serviceConfigFile, "utf8"),
    // A request that passes this, as a picture soon does, is not repeated; unset it is 1 MiB.
    "grpc.per_rpc_retry_buffer_size": 64 * 1024 * 1024,
    // Not through http_proxy and https_proxy, which are for other traffic.
    "grpc.enable_http_proxy": 0,
    // Notice a dead connection. Servers refuse more than one ping in 10 s.
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
    // Find a restarted server soon: left alone the library waits up to two minutes.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 2_000,
    "grpc.dns_min_time_between_resolutions_ms": 5_000,
  };
}

function credentials({ ca, cert, key, tokenFile }: Secrets): grpc.ChannelCredentials {
  if (!ca) {
    if (tokenFile) throw new Error("an API key travels over TLS only: name the authority with --ca");
    return grpc.credentials.createInsecure();
  }
  const tls = grpc.credentials.createSsl(
    readFileSync(ca),
    key ? readFileSync(key) : null,
    cert ? readFileSync(cert) : null,
  );
  if (!tokenFile) return tls;
  const token = grpc.credentials.createFromMetadataGenerator((_, done) => {
    const metadata = new grpc.Metadata();
    // Read for each call, so that a new key is taken without a restart.
    metadata.set("authorization", `Bearer ${readFileSync(tokenFile, "utf8").trim()}`);
    done(null, metadata);
  });
  return grpc.credentials.combineChannelCredentials(tls, token);
}

/** Connect to "host:port": to all addresses that the name has. */
export function connect(protos: string, serviceConfig: string, address: string, secrets: Secrets): Services {
  const files = ["collection", "ingest", "search"].map((name) => `lookalike/v1/${name}.proto`);
  const definition = loader.loadSync(files, {
    includeDirs: [protos],
    keepCase: true,
    longs: Number,
    enums: String,
    defaults: true,
    oneofs: true,
  });
  const loaded = grpc.loadPackageDefinition(definition) as unknown as Collections & Ingest & Search;
  const { CollectionService, IngestService, SearchService } = loaded.lookalike.v1;
  // By "dns:///" all addresses of the name are known, so that calls go to each in turn.
  const target = /^(dns|ipv4|ipv6|unix):/.test(address) ? address : `dns:///${address}`;
  const held = credentials(secrets);
  const channel = new grpc.Channel(target, held, options(serviceConfig));
  const shared = { channelOverride: channel }; // one connection for all services
  return {
    collections: new CollectionService(target, held, shared),
    ingest: new IngestService(target, held, shared),
    search: new SearchService(target, held, shared),
    close: () => channel.close(),
  };
}
