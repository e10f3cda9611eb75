package dev.sealwax.kms.examples.remote;

import dev.sealwax.kms.aws.AwsClients;
import dev.sealwax.kms.aws.AwsKmsRootKey;
import dev.sealwax.kms.examples.InputException;
import dev.sealwax.kms.rootkey.ResilientRootKey;
import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.vocabulary.GuardPolicy;
import java.io.IOException;
import java.time.Duration;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.kms.KmsClient;
import software.amazon.awssdk.services.kms.KmsClientBuilder;

/** A region of AWS, or an emulator that stands for one, with a key of AWS KMS. */
final class KeyRegion implements AutoCloseable {
  private static final Pattern ARN =
      Pattern.compile("arn:[a-z-]+:kms:([a-z0-9-]+):\\d{12}:key/[A-Za-z0-9-]+");
  private static final Duration ATTEMPT_TIMEOUT = Duration.ofSeconds(1);

  private final String name;
  private final String key;
  private final KmsClient client;
  private final @Nullable MotoServer emulator;
  private final FaultSwitch switched = new FaultSwitch();

  private KeyRegion(String name, String key, KmsClient client, @Nullable MotoServer emulator) {
    this.name = name;
    this.key = key;
    this.client = client;
    this.emulator = emulator;
  }

  /** Starts an emulator and makes a key in it. */
  static KeyRegion emulated(String name) throws IOException {
    MotoServer emulator = MotoServer.start();
    KmsClient client =
        client(name)
            .endpointOverride(emulator.endpoint())
            .credentialsProvider(
                StaticCredentialsProvider.create(AwsBasicCredentials.create("any", "any")))
            .build();
    try {
      return new KeyRegion(name, client.createKey().keyMetadata().arn(), client, emulator);
    } catch (SdkException e) {
      client.close();
      emulator.close();
      throw new IOException("the emulator makes no key: " + e.getMessage(), e);
    }
  }

  /**
   * A key in AWS, with credentials from where the SDK looks for them.
   *
   * @throws InputException if that is not the ARN of a key
   */
  static KeyRegion of(String key) {
    Matcher arn = ARN.matcher(key);
    if (!arn.matches()) {
      throw new InputException("not the ARN of a key of AWS KMS: " + key);
    }
    return new KeyRegion(arn.group(1), key, client(arn.group(1)).build(), null);
  }

  /** Tries once: to try again is for the {@link ResilientRootKey}. */
  private static KmsClientBuilder client(String region) {
    return AwsClients.kmsWithoutRetries().region(Region.of(region));
  }

  String name() {
    return name;
  }

  boolean isKey(RootKeyId id) {
    return id.value().endsWith(key);
  }

  /** As every process opens it. */
  ResilientRootKey open() {
    return ResilientRootKey.around(
        switched.over(AwsKmsRootKey.open(client, key)),
        GuardPolicy.defaults()
            .withDeadline(Duration.ofSeconds(5)) // within that of the quorum
            .withAttempts(3, ATTEMPT_TIMEOUT));
  }

  /** Calls by all processes. */
  long calls() {
    return switched.calls();
  }

  /** Lets the emulator hang; AWS cannot be, so there the calls hang in this process. */
  void suspend() throws IOException {
    if (emulator == null) {
      switched.set(Fault.HANGING);
    } else {
      emulator.suspend();
    }
  }

  void resume() throws IOException {
    if (emulator == null) {
      switched.set(Fault.NONE);
    } else {
      emulator.resume();
    }
  }

  @Override
  public void close() throws IOException {
    client.close();
    if (emulator != null) {
      emulator.close();
    }
  }
}
