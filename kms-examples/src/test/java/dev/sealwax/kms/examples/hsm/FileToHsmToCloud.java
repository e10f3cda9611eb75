package dev.sealwax.kms.examples.hsm;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.aws.AwsClients;
import dev.sealwax.kms.aws.AwsKmsRootKey;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.rootkey.QuorumRootKey;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.store.FileKeysetStore;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import java.io.PrintStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.kms.KmsClient;

/**
 * Takes a keyset from a root key in a file into an HSM, from there under a quorum of HSM and cloud,
 * and from there into the cloud alone. What was encrypted on the way stays as it is.
 */
final class FileToHsmToCloud {
  private static final EncryptionContext ROW = EncryptionContext.of("row", "42");
  private static final byte[] DATA = "four lamps".getBytes(StandardCharsets.US_ASCII);

  private final Path directory;
  private final PrintStream out;
  private final List<byte[]> envelopes = new ArrayList<>();

  private FileToHsmToCloud(Path directory, PrintStream out) {
    this.directory = directory;
    this.out = out;
  }

  public static void main(String[] args) throws Exception {
    HsmExample.main(
        FileToHsmToCloud.class,
        args,
        (key, directory, options, out) ->
            new FileToHsmToCloud(directory, out).run(key, URI.create(options.get(0))));
  }

  private void run(HsmKey hsm, URI endpoint) {
    try (KeyMaterial sealing = KeyMaterial.copyOf(new byte[32]);
        KmsClient client =
            AwsClients.kms()
                .region(Region.EU_CENTRAL_1)
                .endpointOverride(endpoint)
                .credentialsProvider(
                    StaticCredentialsProvider.create(AwsBasicCredentials.create("any", "any")))
                .build()) {
      String key = client.createKey().keyMetadata().arn();
      Path file = directory.resolve("root.key");
      LocalRootKey.create(file, sealing).close();

      try (Kms kms = open(LocalRootKey.open(file, sealing));
          RootKey target = hsm.open()) {
        kms.keysets().create("orders", KeysetTemplate.defaults());
        useAndMove("file", kms, target);
      }
      try (Kms kms = open(hsm.open());
          RootKey target = quorum(hsm.open(), AwsKmsRootKey.open(client, key))) {
        useAndMove("HSM", kms, target);
      }
      for (RootKey alone : List.of(hsm.open(), AwsKmsRootKey.open(client, key))) {
        try (Kms kms = open(alone)) {
          report("one of HSM and cloud", kms);
        }
      }
      try (Kms kms = open(quorum(hsm.open(), AwsKmsRootKey.open(client, key)));
          RootKey target = AwsKmsRootKey.open(client, key)) {
        useAndMove("HSM and cloud", kms, target);
      }
      try (Kms kms = open(AwsKmsRootKey.open(client, key))) {
        report("cloud", kms);
      }
    }
  }

  private static RootKey quorum(RootKey hsm, RootKey cloud) {
    return QuorumRootKey.builder().member(hsm).member(cloud).required(2).build();
  }

  private Kms open(RootKey rootKey) {
    return Kms.builder()
        .rootKey(rootKey)
        .store(FileKeysetStore.at(directory.resolve("keysets")))
        .build();
  }

  private void useAndMove(String from, Kms kms, RootKey target) {
    EnvelopeCipher orders = kms.envelopeCipher("orders");
    envelopes.add(orders.encrypt(DATA, ROW));
    kms.keysets().rotate("orders");
    envelopes.add(orders.encrypt(DATA, ROW));
    report(from, kms);
    kms.keysets().moveToRootKey("orders", target);
  }

  private void report(String place, Kms kms) {
    EnvelopeCipher orders = kms.envelopeCipher("orders");
    long opened =
        envelopes.stream().filter(e -> Arrays.equals(DATA, orders.decrypt(e, ROW))).count();
    out.printf("%s: %d of %d open%n", place, opened, envelopes.size());
  }
}
