#!/usr/bin/env bash
# Generates the stubs and compiles the example; prints the class path that it runs with.
# This takes what Debian and Ubuntu carry:
#   apt-get install openjdk-17-jdk-headless protobuf-compiler libprotobuf-dev \
#     protobuf-compiler-grpc-java-plugin libgrpc-java libprotobuf-java libnetty-java \
#     libnetty-tcnative-java libnetty-tcnative-jni libperfmark-java \
#     libgoogle-common-protos-java libgoogle-gson-java libgeronimo-annotation-1.3-spec-java
# In a project of yours, the protobuf plugin of Gradle or Maven generates the stubs, and
# grpc-netty-shaded, grpc-protobuf and grpc-stub are what to depend on.
set -euo pipefail
cd "$(dirname "$0")"
protos=${1:-../../../protos}
libraries=$PWD/classes
for jar in grpc-{api,context,core,netty,protobuf,protobuf-lite,stub} protobuf guava \
  netty-{buffer,codec,codec-http,codec-http2,codec-socks,common,handler,handler-proxy,resolver,tcnative,transport} \
  perfmark-api proto-google-common-protos gson geronimo-annotation-1.3-spec; do
  libraries+=:/usr/share/java/$jar.jar
done

rm -rf stubs classes
mkdir -p stubs classes/META-INF/native
# Debian's Netty has TLS by OpenSSL alone, and looks for it under another name than it has there.
ln -s /usr/lib/"$(uname -m)"-linux-gnu/jni/libnetty-tcnative.so classes/META-INF/native/libnetty_tcnative.so
protoc -I"$protos" --java_out=stubs --grpc-java_out=stubs \
  --plugin=protoc-gen-grpc-java="$(command -v grpc_java_plugin)" "$protos"/lookalike/v1/*.proto
javac -J-XX:TieredStopAtLevel=1 -Xlint:none -encoding UTF-8 -cp "$libraries" -d classes -sourcepath stubs:src src/*.java
echo "$libraries"
