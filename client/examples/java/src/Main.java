import com.google.gson.GsonBuilder;
import com.google.protobuf.ByteString;
import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.StreamObserver;
import java.io.File;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import lookalike.v1.CollectionOuterClass.CreateCollectionRequest;
import lookalike.v1.CollectionOuterClass.DeleteCollectionRequest;
import lookalike.v1.CollectionServiceGrpc;
import lookalike.v1.CollectionServiceGrpc.CollectionServiceBlockingStub;
import lookalike.v1.FilterOuterClass.Filter;
import lookalike.v1.IngestServiceGrpc;
import lookalike.v1.IngestServiceGrpc.IngestServiceBlockingStub;
import lookalike.v1.IngestServiceGrpc.IngestServiceStub;
import lookalike.v1.Ingest.ImageUpload;
import lookalike.v1.Ingest.SubmitImagesRequest;
import lookalike.v1.Ingest.SubmitImagesResponse;
import lookalike.v1.Ingest.WatchIngestRequest;
import lookalike.v1.Ingest.WatchIngestResponse;
import lookalike.v1.Search.Hit;
import lookalike.v1.Search.ItemFields;
import lookalike.v1.Search.MutationResult;
import lookalike.v1.Search.Query;
import lookalike.v1.Search.SearchRequest;
import lookalike.v1.Search.UpsertVectorsRequest;
import lookalike.v1.Search.UpsertVectorsResponse;
import lookalike.v1.Search.VectorUpsert;
import lookalike.v1.SearchServiceGrpc;
import lookalike.v1.SearchServiceGrpc.SearchServiceBlockingStub;
import lookalike.v1.SearchServiceGrpc.SearchServiceStub;

/**
 * java -cp "$(./build.sh)" Main [--ca PEM] [--cert PEM] [--key PEM] [--token-file FILE]
 * ADDRESS [IMAGE]
 *
 * <p>Stores and searches vectors, then, with IMAGE, a picture; prints what it saw as JSON.
 */
public final class Main {
  private final ManagedChannel channel;
  private final List<Failure> waits = new ArrayList<>();

  private Main(ManagedChannel channel) {
    this.channel = channel;
  }

  public static void main(String[] arguments) throws Exception {
    Map<String, String> options = new HashMap<>();
    List<String> given = new ArrayList<>();
    for (int at = 0; at < arguments.length; at++) {
      if (arguments[at].startsWith("--")) {
        options.put(arguments[at].substring(2), arguments[++at]);
      } else {
        given.add(arguments[at]);
      }
    }
    Connect.Secrets secrets =
        new Connect.Secrets(
            file(options.get("ca")),
            file(options.get("cert")),
            file(options.get("key")),
            options.containsKey("token-file") ? Path.of(options.get("token-file")) : null);
    Path config = Path.of(options.getOrDefault("service-config", "../service-config.json"));
    ManagedChannel channel = Connect.connect(given.get(0), secrets, config);
    try {
      Main program = new Main(channel);
      Map<String, Object> seen = new LinkedHashMap<>();
      seen.put("vectors", program.vectors());
      seen.put("images", given.size() > 1 ? program.images(Path.of(given.get(1))) : null);
      seen.put("waits", program.waits);
      System.out.println(
          new GsonBuilder().serializeNulls().setPrettyPrinting().create().toJson(seen));
    } finally {
      channel.shutdownNow().awaitTermination(10, TimeUnit.SECONDS);
    }
  }

  private Map<String, Object> vectors() throws Exception {
    String collection = "example-" + UUID.randomUUID();
    CreateCollectionRequest create =
        CreateCollectionRequest.newBuilder()
            .setName(collection)
            .setDimension(3)
            .setExternalVectors(true)
            .build();
    call(() -> collections(30).createCollection(create));

    UpsertVectorsRequest upsert =
        UpsertVectorsRequest.newBuilder()
            .setCollection(collection)
            .addItems(item("red", vector(1, 0, 0), "red", 10))
            .addItems(item("pink", vector(0.9f, 0.3f, 0.3f), "red", 80))
            .addItems(item("blue", vector(0, 0, 1), "blue", 10))
            .addItems(VectorUpsert.newBuilder().setId("short").setVectorF32Le(vector(1, 0)))
            .build();
    SearchServiceStub streams =
        SearchServiceGrpc.newStub(channel).withDeadlineAfter(60, TimeUnit.SECONDS);
    Answers<UpsertVectorsResponse> answers = new Answers<>();
    StreamObserver<UpsertVectorsRequest> requests = streams.upsertVectors(answers);
    requests.onNext(upsert);
    requests.onCompleted();
    Map<String, String> stored = new LinkedHashMap<>();
    for (UpsertVectorsResponse answer : answers.all.get()) {
      answer.getResultsList().forEach(it -> stored.put(it.getId(), of(it)));
    }

    Query query = Query.newBuilder().setVectorF32Le(vector(1, 0.1f, 0.1f)).build();
    SearchRequest asked =
        SearchRequest.newBuilder()
            .setCollection(collection)
            .addQueries(query)
            .setLimit(10)
            .setFilter(Filter.newBuilder().setExpression("colour = \"red\" and price < 50"))
            .setFields(ItemFields.newBuilder().setMetadata(true))
            .build();
    List<Map<String, Object>> hits = new ArrayList<>();
    for (Hit hit : call(() -> search(10).search(asked)).getResults(0).getHitsList()) {
      Value colour = hit.getItem().getMetadata().getFieldsOrThrow("colour");
      hits.add(
          Map.of("id", hit.getId(), "score", hit.getScore(), "colour", colour.getStringValue()));
    }

    SearchRequest nowhere =
        SearchRequest.newBuilder().setCollection("nowhere").addQueries(query).build();
    SearchRequest shorter =
        SearchRequest.newBuilder()
            .setCollection(collection)
            .addQueries(Query.newBuilder().setVectorF32Le(vector(1)))
            .build();
    Map<String, Failure> errors =
        Map.of(
            "nowhere", failureFrom(() -> search(10).search(nowhere)),
            "short", failureFrom(() -> search(10).search(shorter)));
    delete(collection);
    return Map.of("stored", stored, "hits", hits, "errors", errors);
  }

  private Map<String, Object> images(Path file) throws Exception {
    ByteString picture = ByteString.copyFrom(Files.readAllBytes(file));
    String collection = "example-" + UUID.randomUUID();
    // An empty model takes the embedder's default one.
    CreateCollectionRequest create =
        CreateCollectionRequest.newBuilder().setName(collection).setModel("").build();
    int dimension =
        call(() -> collections(30).createCollection(create)).getCollection().getDimension();

    IngestServiceStub streams =
        IngestServiceGrpc.newStub(channel).withDeadlineAfter(60, TimeUnit.SECONDS);
    Answers<SubmitImagesResponse> answers = new Answers<>();
    StreamObserver<SubmitImagesRequest> requests = streams.submitImages(answers);
    requests.onNext(upload(1, collection, collection, "photo", picture));
    requests.onNext(upload(2, collection, collection, "broken", ByteString.copyFromUtf8("none")));
    requests.onNext(upload(3, "nowhere", collection, "photo", picture));
    requests.onCompleted();
    Map<Long, String> submitted = new LinkedHashMap<>();
    for (SubmitImagesResponse it : answers.all.get()) {
      String outcome = it.hasError() ? it.getError().getReason().name() : "accepted";
      submitted.put(it.getRequestId(), outcome);
    }

    // Until each that was accepted is searchable or has failed.
    IngestServiceBlockingStub watcher =
        IngestServiceGrpc.newBlockingStub(channel).withDeadlineAfter(120, TimeUnit.SECONDS);
    Iterator<WatchIngestResponse> events =
        watcher.watchIngest(WatchIngestRequest.newBuilder().setJobId(collection).build());
    Map<String, String> outcomes = new LinkedHashMap<>();
    events.forEachRemaining(it -> outcomes.put(it.getResult().getId(), of(it.getResult())));

    SearchRequest asked =
        SearchRequest.newBuilder()
            .setCollection(collection)
            .addQueries(Query.newBuilder().setImage(picture))
            .setLimit(3)
            .build();
    List<Map<String, Object>> hits = new ArrayList<>();
    for (Hit hit : call(() -> search(30).search(asked)).getResults(0).getHitsList()) {
      hits.add(Map.of("id", hit.getId(), "score", hit.getScore()));
    }
    delete(collection);
    return Map.of(
        "dimension", dimension, "submitted", submitted, "outcomes", outcomes, "hits", hits);
  }

  private void delete(String collection) throws InterruptedException {
    DeleteCollectionRequest request =
        DeleteCollectionRequest.newBuilder().setName(collection).build();
    call(() -> collections(30).deleteCollection(request));
  }

  // A deadline is counted from when the stub is made, so there is a new one for each attempt.
  private CollectionServiceBlockingStub collections(int seconds) {
    return CollectionServiceGrpc.newBlockingStub(channel)
        .withDeadlineAfter(seconds, TimeUnit.SECONDS);
  }

  private SearchServiceBlockingStub search(int seconds) {
    return SearchServiceGrpc.newBlockingStub(channel).withDeadlineAfter(seconds, TimeUnit.SECONDS);
  }

  /** Makes a call; where the service says when to try again, does so. */
  private <T> T call(Supplier<T> call) throws InterruptedException {
    for (int attempt = 1; ; attempt++) {
      try {
        return call.get();
      } catch (StatusRuntimeException error) {
        Failure failure = Failure.of(error);
        if (failure.retry_ms() == null || attempt == 10) {
          throw error;
        }
        waits.add(failure);
        Thread.sleep((long) Math.ceil(failure.retry_ms()));
      }
    }
  }

  private Failure failureFrom(Supplier<?> call) throws InterruptedException {
    try {
      call(call);
    } catch (StatusRuntimeException error) {
      return Failure.of(error);
    }
    throw new IllegalStateException("the call succeeded");
  }

  /** What a stream answers, once it has ended. */
  private static final class Answers<T> implements StreamObserver<T> {
    private final List<T> arrived = new ArrayList<>();
    private final CompletableFuture<List<T>> all = new CompletableFuture<>();

    @Override
    public void onNext(T answer) {
      arrived.add(answer);
    }

    @Override
    public void onError(Throwable error) {
      all.completeExceptionally(error);
    }

    @Override
    public void onCompleted() {
      all.complete(arrived);
    }
  }

  private static SubmitImagesRequest upload(
      long number, String collection, String job, String id, ByteString image) {
    return SubmitImagesRequest.newBuilder()
        .setRequestId(number)
        .setCollection(collection)
        .setJobId(job)
        .setUpload(ImageUpload.newBuilder().setId(id).setImage(image))
        .build();
  }

  private static VectorUpsert item(String id, ByteString vector, String colour, double price) {
    Struct.Builder metadata =
        Struct.newBuilder()
            .putFields("colour", Value.newBuilder().setStringValue(colour).build())
            .putFields("price", Value.newBuilder().setNumberValue(price).build());
    return VectorUpsert.newBuilder()
        .setId(id)
        .setVectorF32Le(vector)
        .setMetadata(metadata)
        .build();
  }

  /** Little-endian float32, as vectors travel. */
  private static ByteString vector(float... components) {
    ByteBuffer bytes =
        ByteBuffer.allocate(4 * components.length).order(ByteOrder.LITTLE_ENDIAN);
    for (float each : components) {
      bytes.putFloat(each);
    }
    return ByteString.copyFrom(bytes.flip());
  }

  private static String of(MutationResult result) {
    return result.hasError() ? result.getError().getReason().name() : result.getStatus().name();
  }

  private static File file(String path) {
    return path == null ? null : new File(path);
  }
}
