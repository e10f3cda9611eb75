package dev.sealwax.kms.examples.benchmark;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import dev.sealwax.kms.aws.AwsClients;
import dev.sealwax.kms.aws.AwsKmsRootKey;
import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Base64;
import java.util.Locale;
import java.util.concurrent.Executors;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.kms.KmsClient;
import software.amazon.awssdk.services.kms.model.EncryptionAlgorithmSpec;

/**
 * What {@link AwsKmsRootKey} adds to the SDK: an unwrap against the bare {@code Decrypt} of the
 * same client, in turn. The service is a loopback server that always gives the same answer at once,
 * so that nothing hides the difference. The argument is the number of calls of each.
 */
public final class AwsOverhead {
  private static final String KEY =
      "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
  private static final int ROUNDS = 5;
  private static final EncryptionContext CONTEXT =
      EncryptionContext.of("sealwax", "key-version/v1", "keyset", "orders", "version", "1");

  private AwsOverhead() {}

  /** Runs from the command line. */
  public static void main(String[] arguments) throws Exception {
    int calls = arguments.length == 0 ? 4000 : Integer.parseInt(arguments[0]);
    System.setProperty("sun.net.httpserver.nodelay", "true"); // else an answer takes 40 ms
    HttpServer server =
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    var threads = Executors.newFixedThreadPool(2);
    server.setExecutor(threads);
    server.createContext("/", AwsOverhead::answer);
    server.start();
    URI endpoint = URI.create("http://127.0.0.1:" + server.getAddress().getPort());
    try (KmsClient client =
        AwsClients.kms()
            .region(Region.EU_WEST_1)
            .endpointOverride(endpoint)
            .credentialsProvider(
                StaticCredentialsProvider.create(AwsBasicCredentials.create("any", "any")))
            .build()) {
      measure(client, calls);
    } finally {
      server.stop(0);
      threads.shutdown();
    }
  }

  private static void answer(HttpExchange exchange) throws IOException {
    exchange.getRequestBody().readAllBytes();
    String secret = Base64.getEncoder().encodeToString(new byte[64]);
    byte[] body =
        ("{\"KeyId\":\""
                + KEY
                + "\",\"Plaintext\":\""
                + secret
                + "\",\"EncryptionAlgorithm\":\"SYMMETRIC_DEFAULT\"}")
            .getBytes(StandardCharsets.US_ASCII);
    exchange.getResponseHeaders().set("Content-Type", "application/x-amz-json-1.1");
    exchange.sendResponseHeaders(200, body.length);
    exchange.getResponseBody().write(body);
    exchange.close();
  }

  private static void measure(KmsClient client, int calls) {
    AwsKmsRootKey rootKey = AwsKmsRootKey.open(client, KEY);
    byte[] ciphertext = new byte[220];
    WrappedKey wrapped = WrappedKey.of(RootKeyId.of(AwsKmsRootKey.SCHEME + ":" + KEY), ciphertext);
    for (int round = 1; round <= ROUNDS; round++) {
      long[] bare = new long[calls];
      long[] ours = new long[calls];
      for (int i = 0; i < calls; i++) {
        // Who goes first changes each time.
        if (i % 2 == 0) {
          bare[i] = bare(client, ciphertext);
          ours[i] = ours(rootKey, wrapped);
        } else {
          ours[i] = ours(rootKey, wrapped);
          bare[i] = bare(client, ciphertext);
        }
      }
      Arrays.sort(bare);
      Arrays.sort(ours);
      double sdk = bare[calls / 2] / 1e3;
      double unwrap = ours[calls / 2] / 1e3;
      System.out.printf(
          Locale.ROOT,
          "round %d of %d%s: p50 of Decrypt %.1f us, of unwrap %.1f us, %+.1f %%%n",
          round,
          ROUNDS,
          round == 1 ? " (warm-up)" : "",
          sdk,
          unwrap,
          100 * (unwrap / sdk - 1));
    }
  }

  private static long bare(KmsClient client, byte[] ciphertext) {
    long started = System.nanoTime();
    SdkBytes secret =
        client
            .decrypt(
                request ->
                    request
                        .keyId(KEY)
                        .encryptionAlgorithm(EncryptionAlgorithmSpec.SYMMETRIC_DEFAULT)
                        .encryptionContext(CONTEXT.asMap())
                        .ciphertextBlob(SdkBytes.fromByteArray(ciphertext)))
            .plaintext();
    long took = System.nanoTime() - started;
    if (secret.asByteArrayUnsafe().length != 64) {
      throw new IllegalStateException("wrong answer");
    }
    return took;
  }

  private static long ours(AwsKmsRootKey rootKey, WrappedKey wrapped) {
    long started = System.nanoTime();
    KeyMaterial secret = rootKey.unwrap(wrapped, CONTEXT);
    long took = System.nanoTime() - started;
    secret.close();
    return took;
  }
}
