package dev.sealwax.kms.keyset;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.rootkey.QuorumRootKey;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.rootkey.TestRootKeys;
import dev.sealwax.kms.testkit.FaultyRootKey;
import dev.sealwax.kms.testkit.FaultyRootKey.Fault;
import dev.sealwax.kms.testkit.ForwardingRootKey;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.time.Duration;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;

/** Keysets under two of three root keys, each of which can be made to fail. */
abstract class QuorumKeysetFixture {
  static final EncryptionContext ROW = EncryptionContext.of("row", "1");
  static final byte[] DATA = {4, 2};
  static final int REQUIRED = 2;

  final ScriptedStore store = new ScriptedStore();
  final List<FaultyRootKey> keys =
      List.of(
          FaultyRootKey.around(TestRootKeys.inMemory()),
          FaultyRootKey.around(TestRootKeys.inMemory()),
          FaultyRootKey.around(TestRootKeys.inMemory()));
  final Kms kms = open(quorum(0, 1, 2));
  final Keysets keysets = kms.keysets();

  Kms open(RootKey rootKey) {
    // Every use asks the root key.
    return Kms.builder().rootKey(rootKey).store(store).strict().build();
  }

  QuorumRootKey quorum(int... members) {
    return quorum(patient(Math.min(REQUIRED, members.length)), members);
  }

  QuorumRootKey quorum(QuorumRootKey.Builder builder, int... members) {
    IntStream.of(members).forEach(i -> builder.member(notClosing(keys.get(i)), "number=" + i));
    return builder.build();
  }

  /** All three, of which so many must wrap. */
  QuorumRootKey quorumOf(int required) {
    return quorum(patient(required), 0, 1, 2);
  }

  static QuorumRootKey.Builder patient(int required) {
    return QuorumRootKey.builder().required(required).patience(Duration.ofSeconds(30));
  }

  static RootKey notClosing(RootKey rootKey) {
    return new ForwardingRootKey(rootKey) {
      @Override
      public void close() {}
    };
  }

  RootKeyId id(int member) {
    return keys.get(member).currentKeyId();
  }

  List<RootKeyId> ids(List<Integer> members) {
    return members.stream().map(this::id).toList();
  }

  byte[] seal(String keyset) {
    return kms.envelopeCipher(keyset).encrypt(DATA, ROW);
  }

  void assertOpens(Kms process, String keyset, byte[] sealed) {
    assertArrayEquals(DATA, process.envelopeCipher(keyset).decrypt(sealed, ROW));
  }

  void assertOpensAnewUnderEach(List<Integer> members, String keyset, byte[] sealed) {
    for (int member : members) {
      try (Kms alone = open(notClosing(keys.get(member)))) {
        assertOpens(alone, keyset, sealed);
      }
    }
  }

  void heal() {
    keys.forEach(key -> key.always(Fault.NONE));
  }

  @AfterEach
  void close() {
    heal();
    kms.close();
    keys.forEach(FaultyRootKey::close);
  }
}
