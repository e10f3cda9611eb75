package dev.sealwax.kms.aws;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.keyset.KeyVersion;
import dev.sealwax.kms.keyset.Keyset;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.rootkey.QuorumRootKey;
import dev.sealwax.kms.rootkey.ResilientRootKey;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.RootKeyRule;
import dev.sealwax.kms.store.InMemoryKeysetStore;
import dev.sealwax.kms.store.KeysetStore;
import dev.sealwax.kms.testkit.ForwardingKeysetStore;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.GuardPolicy;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import software.amazon.awssdk.services.kms.KmsClient;

/** Keysets under keys of two regions, each an emulator of its own behind a proxy that can fail. */
@Timeout(300)
final class QuorumOfRegionsTest {
  private static final EncryptionContext ROW = EncryptionContext.of("row", "42");
  private static final byte[] PLAINTEXT = {1, 2, 3};
  private static final Duration LONG = Duration.ofSeconds(60);
  private static final Moto THERE = Moto.start();

  @TempDir private Path directory;
  private final AwsProxy here = AwsProxy.before(Moto.shared());
  private final AwsProxy there = AwsProxy.before(THERE);
  private final KmsClient clientHere = Aws.kms(here.endpoint()).build();
  private final KmsClient clientThere = Aws.kms(there.endpoint()).region(Aws.THERE).build();
  private final String keyHere = Aws.createKey(clientHere);
  private final String keyThere = Aws.createKey(clientThere);
  private final InMemoryKeysetStore stored = InMemoryKeysetStore.create();

  private static RootKey guarded(RootKey rootKey, Duration timeout) {
    return ResilientRootKey.around(
        rootKey, GuardPolicy.defaults().withAttempts(1, timeout).withDeadline(timeout));
  }

  private QuorumRootKey quorum(Duration patience) {
    return QuorumRootKey.builder()
        .member(guarded(AwsKmsRootKey.open(clientHere, keyHere), LONG))
        .member(guarded(AwsKmsRootKey.open(clientThere, keyThere), LONG))
        .required(1)
        .patience(patience)
        .deadline(LONG)
        .build();
  }

  private Kms open(RootKey rootKey) {
    return Kms.builder().rootKey(rootKey).store(store()).build();
  }

  private KeysetStore store() {
    return new ForwardingKeysetStore(stored) {
      @Override
      public void close() {}
    };
  }

  private static void assertOpens(Kms kms, List<byte[]> envelopes) {
    for (byte[] envelope : envelopes) {
      assertArrayEquals(PLAINTEXT, kms.envelopeCipher("orders").decrypt(envelope, ROW));
    }
  }

  @AfterEach
  void close() {
    clientHere.close();
    clientThere.close();
    here.close();
    there.close();
    stored.close();
  }

  @Test
  void keyset_fromAFileToTwoRegions_opensUnderEachAlone() {
    try (KeyMaterial sealing = KeyMaterial.copyOf(new byte[32]);
        QuorumRootKey target = quorum(LONG)) {
      Path file = directory.resolve("root.key");
      byte[] first;
      try (Kms kms = open(LocalRootKey.create(file, sealing))) {
        kms.keysets().create("orders", KeysetTemplate.defaults());
        first = kms.envelopeCipher("orders").encrypt(PLAINTEXT, ROW);
        kms.keysets().moveToRootKey("orders", target);
      }
      byte[] second;
      try (Kms kms = open(quorum(LONG))) {
        kms.keysets().rotate("orders");
        second = kms.envelopeCipher("orders").encrypt(PLAINTEXT, ROW);
        assertOpens(kms, List.of(first, second));
      }
      for (RootKey alone :
          List.of(
              AwsKmsRootKey.open(clientHere, keyHere), AwsKmsRootKey.open(clientThere, keyThere))) {
        try (Kms kms = open(alone)) {
          assertOpens(kms, List.of(first, second));
        }
      }
    }
  }

  @Test
  void oneRegionThatIsAway_isMissedAndRepaired() {
    try (Kms kms = open(quorum(LONG))) {
      kms.keysets().create("orders", KeysetTemplate.defaults());
      byte[] before = kms.envelopeCipher("orders").encrypt(PLAINTEXT, ROW);
      for (AwsProxy.Fault fault :
          List.of(AwsProxy.reset(), AwsProxy.error(503, "KMSInternalException"))) {
        here.always("Encrypt", fault);
        here.always("Decrypt", fault);
        try (Kms cold = open(quorum(LONG))) {
          assertOpens(cold, List.of(before));
          Keyset rotated = cold.keysets().rotate("orders");
          KeyVersion newest = rotated.version(rotated.primary()).orElseThrow();
          assertEquals(
              List.of(AwsKmsRootKey.open(clientHere, keyHere).currentKeyId()),
              newest.missingRootKeyIds());
        }
        here.heal();
        byte[] during;
        try (Kms back = open(quorum(LONG))) {
          during = back.envelopeCipher("orders").encrypt(PLAINTEXT, ROW);
          back.keysets()
              .repairWraps("orders")
              .versions()
              .forEach(version -> assertEquals(List.of(), version.missingRootKeyIds()));
        }
        try (Kms alone = open(AwsKmsRootKey.open(clientHere, keyHere))) {
          assertOpens(alone, List.of(before, during));
        }
      }
    }
  }

  @Test
  void oneRegionThatHangs_costsThePatienceOnce() {
    CountDownLatch release = new CountDownLatch(1);
    try (Kms kms = open(quorum(LONG));
        QuorumRootKey impatient = quorum(Duration.ofMillis(100));
        Kms cold = open(impatient)) {
      kms.keysets().create("orders", KeysetTemplate.defaults());
      byte[] envelope = kms.envelopeCipher("orders").encrypt(PLAINTEXT, ROW);
      here.always("Decrypt", AwsProxy.hanging(release));
      assertOpens(cold, List.of(envelope));
      assertEquals(
          List.of(true, false),
          impatient.health().stream().map(QuorumRootKey.MemberHealth::isSuspect).toList());
    } finally {
      release.countDown();
    }
  }

  @Test
  void rule_byTheRegionOfTheKey_isKept() {
    try (Kms kms = open(quorum(LONG))) {
      String region = "region=" + Aws.HERE.id();
      assertEquals(
          Set.of("provider=aws-kms", region), AwsKmsRootKey.open(clientHere, keyHere).tags());
      RootKeyRule onlyHere = RootKeyRule.any().requiring(region);
      kms.keysets().create("orders", KeysetTemplate.defaults().withRootKeyRule(onlyHere));
      assertEquals(0, there.calls("Encrypt"));
      try (AwsKmsRootKey alone = AwsKmsRootKey.open(clientThere, keyThere)) {
        RootKeyException refusal =
            assertThrows(
                RootKeyException.class, () -> kms.keysets().moveToRootKey("orders", alone));
        assertEquals(RootKeyException.Reason.UNSUPPORTED, refusal.reason());
      }
    }
  }

  /** Ten messages in each of a thousand keysets: one call for each key version of the process. */
  @Test
  void tenThousandMessagesInAThousandKeysets_costACallForEachKeyset() {
    int keysets = 1000;
    byte[][] envelopes = new byte[keysets][];
    try (Kms kms = open(AwsKmsRootKey.open(clientHere, keyHere))) {
      for (int i = 0; i < keysets; i++) {
        kms.keysets().create("tenant-" + i, KeysetTemplate.defaults());
        envelopes[i] = kms.envelopeCipher("tenant-" + i).encrypt(PLAINTEXT, ROW);
      }
    }
    assertEquals(keysets, here.calls("Encrypt"));
    assertEquals(0, here.calls("Decrypt"));
    try (Kms kms = open(AwsKmsRootKey.open(clientHere, keyHere))) {
      for (int round = 0; round < 10; round++) {
        for (int i = 0; i < keysets; i++) {
          assertArrayEquals(
              PLAINTEXT, kms.envelopeCipher("tenant-" + i).decrypt(envelopes[i], ROW));
        }
      }
    }
    assertEquals(keysets, here.calls("Decrypt"));
  }
}
