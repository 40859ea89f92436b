import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.UnknownFieldSet;
import com.google.rpc.BadRequest;
import com.google.rpc.RetryInfo;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;

/**
 * What a failed call says. `reason` is a name of `ErrorReason`, empty where the service was not
 * reached; `retry_ms` says when to try again, and is null where that would not help.
 */
record Failure(String code, String reason, String field, Double retry_ms) {
  static Failure of(StatusRuntimeException error) {
    String reason = "";
    String field = "";
    Double retryMs = null;
    com.google.rpc.Status status = StatusProto.fromThrowable(error);
    try {
      for (Any detail : status.getDetailsList()) {
        if (detail.getTypeUrl().endsWith("/google.rpc.ErrorInfo")) {
          // Debian's com.google.rpc is older than this message; with a newer one:
          // reason = detail.unpack(ErrorInfo.class).getReason();
          var info = UnknownFieldSet.parseFrom(detail.getValue());
          reason = info.getField(1).getLengthDelimitedList().get(0).toStringUtf8();
        } else if (detail.is(BadRequest.class)) {
          field = detail.unpack(BadRequest.class).getFieldViolations(0).getField();
        } else if (detail.is(RetryInfo.class)) {
          var delay = detail.unpack(RetryInfo.class).getRetryDelay();
          retryMs = delay.getSeconds() * 1e3 + delay.getNanos() / 1e6;
        }
      }
    } catch (InvalidProtocolBufferException damaged) {
      throw new IllegalStateException(damaged);
    }
    return new Failure(error.getStatus().getCode().name(), reason, field, retryMs);
  }
}
