import com.google.gson.Gson;
import com.google.gson.reflect.TypeToken;
import io.grpc.CallCredentials;
import io.grpc.ChannelCredentials;
import io.grpc.CompositeChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.TlsChannelCredentials;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;

/** How a client connects: what every program that calls the service should set. */
final class Connect {
  private static final int MAX_MESSAGE_BYTES = 64 << 20;

  private Connect() {}

  /** PEM files, and the file of an API key; null for none. Without `ca` nothing is encrypted. */
  record Secrets(File ca, File cert, File key, Path tokenFile) {}

  /** Connects to "host:port": to all addresses that the name has. */
  static ManagedChannel connect(String address, Secrets secrets, Path serviceConfig)
      throws IOException {
    String target = address.contains(":/") ? address : "dns:///" + address;
    Map<String, ?> config =
        new Gson().fromJson(Files.readString(serviceConfig), new TypeToken<Map<String, ?>>() {}.getType());
    return Grpc.newChannelBuilder(target, credentials(secrets))
        // An answer may hold 64 MiB; unless told otherwise the library ends a call at 4 MiB.
        .maxInboundMessageSize(MAX_MESSAGE_BYTES)
        // Retries of calls that may be repeated, and all addresses of a name in turn.
        .defaultServiceConfig(config)
        .defaultLoadBalancingPolicy("round_robin")
        .enableRetry()
        // A request that passes this, as a picture soon does, is not repeated; unset it is 1 MiB.
        .perRpcBufferLimit(MAX_MESSAGE_BYTES)
        // Not through the proxy of -Dhttps.proxyHost, which is for other traffic.
        .proxyDetector(server -> null)
        // Notice a dead connection. Servers refuse more than one ping in 10 s.
        .keepAliveTime(30, TimeUnit.SECONDS)
        .keepAliveTimeout(10, TimeUnit.SECONDS)
        .build();
  }

  private static ChannelCredentials credentials(Secrets secrets) throws IOException {
    if (secrets.ca() == null) {
      if (secrets.tokenFile() != null) {
        throw new IllegalArgumentException(
            "an API key travels over TLS only: name the authority with --ca");
      }
      return InsecureChannelCredentials.create();
    }
    TlsChannelCredentials.Builder tls =
        TlsChannelCredentials.newBuilder().trustManager(secrets.ca());
    if (secrets.cert() != null) {
      tls.keyManager(secrets.cert(), secrets.key());
    }
    if (secrets.tokenFile() == null) {
      return tls.build();
    }
    return CompositeChannelCredentials.create(tls.build(), new TokenFile(secrets.tokenFile()));
  }

  /** Sends an API key, read for each call, so that a new one is taken without a restart. */
  private static final class TokenFile extends CallCredentials {
    private static final Metadata.Key<String> AUTHORIZATION =
        Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
    private final Path path;

    TokenFile(Path path) {
      this.path = path;
    }

    @Override
    public void applyRequestMetadata(RequestInfo call, Executor executor, MetadataApplier applier) {
      executor.execute(
          () -> {
            try {
              Metadata headers = new Metadata();
              headers.put(AUTHORIZATION, "Bearer " + Files.readString(path).strip());
              applier.apply(headers);
            } catch (IOException error) {
              applier.fail(Status.UNAUTHENTICATED.withCause(error));
            }
          });
    }

    @Override
    public void thisUsesUnstableApi() {}
  }
}
