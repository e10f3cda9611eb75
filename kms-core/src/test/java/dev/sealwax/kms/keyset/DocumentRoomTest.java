package dev.sealwax.kms.keyset;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.RootKeyRule;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.testkit.ForwardingRootKey;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.KeyStateException;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** How full a keyset gets, and what can still be done to it then: KS-41, and 1,000 versions. */
final class DocumentRoomTest {
  private static final Duration WINDOW = Duration.ofDays(30);
  private static final Duration YEAR = Duration.ofDays(365);

  /** Of 128 characters, all of which JSON escapes, as it does those of the longest tags. */
  private static final String LONGEST_REASON = "\"".repeat(KeysetTemplate.MAX_TEXT_LENGTH);

  private static final RootKeyRule LONGEST_RULE = longestRule();

  private final Rig rig = new Rig();

  @AfterEach
  void close() {
    rig.close();
  }

  /** Wraps with so many bytes more than the key it is made of. */
  private static final class LongWinded extends ForwardingRootKey {
    private final int more;

    LongWinded(RootKey target, int more) {
      super(target);
      this.more = more;
    }

    @Override
    public WrappedKey wrap(KeyMaterial secret, EncryptionContext context) {
      WrappedKey wrapped = super.wrap(secret, context);
      byte[] bytes = wrapped.ciphertext();
      return WrappedKey.of(wrapped.rootKeyId(), Arrays.copyOf(bytes, bytes.length + more));
    }

    @Override
    public WrappedKey wrap(KeyMaterial secret, EncryptionContext context, RootKeyRule rule) {
      return wrap(secret, context); // under any rule
    }

    @Override
    public KeyMaterial unwrap(WrappedKey wrapped, EncryptionContext context) {
      byte[] bytes = wrapped.ciphertext();
      return super.unwrap(
          WrappedKey.of(wrapped.rootKeyId(), Arrays.copyOf(bytes, bytes.length - more)), context);
    }
  }

  private Keysets over(RootKey root) {
    return rig.process(root, CachePolicy.of(Rig.SOFT, Rig.HARD, 1000)).keysets();
  }

  private static RootKeyRule longestRule() {
    String[] tags =
        IntStream.range(0, 2 * RootKeyRule.MAX_TAGS)
            .mapToObj(
                n -> {
                  StringBuilder tag = new StringBuilder(LONGEST_REASON);
                  for (int bit = 0; bit < 5; bit++) {
                    tag.setCharAt(bit, (n >> bit & 1) == 1 ? '\\' : '"');
                  }
                  return tag.toString();
                })
            .toArray(String[]::new);
    return RootKeyRule.any()
        .requiring(Arrays.copyOf(tags, RootKeyRule.MAX_TAGS))
        .forbidding(Arrays.copyOfRange(tags, RootKeyRule.MAX_TAGS, tags.length));
  }

  private static String refusal(Supplier<Keyset> verb) {
    return String.valueOf(assertThrows(KeyStateException.class, verb::get).getMessage());
  }

  /** Rotates until there is no room; tells what the refusal said. */
  private static String fill(Keysets keysets) {
    while (true) {
      try {
        keysets.rotate("orders");
      } catch (KeyStateException e) {
        return String.valueOf(e.getMessage());
      }
    }
  }

  private Instant inAYear() {
    return rig.time.instant().plus(YEAR).truncatedTo(ChronoUnit.SECONDS);
  }

  private int documentLength() {
    return rig.store.stored("orders").document().length();
  }

  /** A keyset of so many enabled versions. */
  private void plant(int versions) {
    rig.store.plant(
        TestKeysets.stored(
            KeysetId.of("orders"),
            versions,
            Collections.nCopies(versions, new TestKeysets.Version(KeyState.ENABLED, new byte[32])),
            rig.root));
  }

  @Test
  void version1001_isRefused_whateverAddsIt() {
    plant(Keyset.MAX_VERSIONS - 1);
    assertEquals(1000, rig.keysets.rotate("orders").primary());
    int wraps = rig.root.wraps.get();
    for (Supplier<Keyset> adding :
        List.<Supplier<Keyset>>of(
            () -> rig.keysets.rotate("orders"), () -> rig.keysets.publish("orders"))) {
      String refusal = refusal(adding);
      assertTrue(
          refusal.contains(
              "a keyset has at most 1000 versions; create a new keyset and re-encrypt"),
          refusal);
    }
    rig.time.advance(YEAR);
    assertThrows(KeyStateException.class, () -> rig.keysets.rotateIfDue("orders"));
    assertEquals(wraps, rig.root.wraps.get(), "asked for nothing");
    assertEquals(1000, rig.keysets.get("orders").versions().size());
  }

  @Test
  void keysetOf1000Versions_isShredded() {
    plant(Keyset.MAX_VERSIONS - 1);
    rig.keysets.rotate("orders");
    rig.keysets.scheduleDestructionDespiteUse("orders", LONGEST_REASON);
    rig.time.advance(WINDOW);
    assertTrue(rig.keysets.destroy("orders").isDestroyed());
  }

  @Test
  void fullDocument_takesEveryVerbThatAddsNoVersion() {
    Keysets keysets = over(new LongWinded(rig.root, 8_000));
    rig.store.maxDocumentChars = Integer.MAX_VALUE; // beyond what a reader takes: never used
    keysets.create("orders", KeysetTemplate.defaults());
    String refusal = fill(keysets);
    assertTrue(refusal.contains("the limit is 1048576; destroy versions"), refusal);
    assertTrue(refusal.contains("or create a new keyset and re-encrypt"), refusal);
    assertThrows(KeyStateException.class, () -> keysets.publish("orders"));
    Keyset full = keysets.get("orders");
    assertTrue(full.versions().size() > 80, full::toString);
    int length = documentLength();
    assertTrue(length > StoredKeyset.MAX_DOCUMENT_CHARS * 9L / 10, "room of " + length);

    keysets.setRootKeyRule("orders", LONGEST_RULE);
    keysets.disable("orders", 1);
    keysets.compromise("orders", 2);
    keysets.setExpiry("orders", inAYear());
    for (int version = 1; version <= 10; version++) {
      keysets.setExpiry("orders", version, inAYear());
    }
    keysets.placeHold("orders", LONGEST_REASON);
    assertThrows(KeyStateException.class, () -> keysets.scheduleDestruction("orders"));
    keysets.releaseHold("orders");
    keysets.scheduleDestruction("orders");
    keysets.cancelDestruction("orders");
    keysets.scheduleDestructionDespiteUse("orders", LONGEST_REASON);
    keysets.placeHold("orders", LONGEST_REASON);
    assertTrue(documentLength() > length + full.versions().size() * 280, "filled further");
    keysets.releaseHold("orders");
    rig.time.advance(WINDOW);
    assertTrue(keysets.destroy("orders").isDestroyed());
  }

  @Test
  void fullDocument_whoseVersionsAreDestroyed_hasRoomAgain() {
    Keysets keysets = over(new LongWinded(rig.root, 2_000));
    rig.store.maxDocumentChars = 50_000;
    keysets.create("orders", KeysetTemplate.defaults());
    fill(keysets);
    int versions = keysets.get("orders").versions().size();
    keysets.scheduleDestruction("orders", 1);
    rig.time.advance(WINDOW);
    keysets.destroy("orders", 1);
    assertEquals(versions + 1, keysets.rotate("orders").primary());
  }

  /** Nothing of the reserve is missing, and nothing of it is for what cannot be. */
  @Test
  void reserve_isWhatVerbsCanAdd() {
    rig.keysets.create("orders", KeysetTemplate.defaults());
    for (int version = 2; version <= 12; version++) {
      rig.keysets.publish("orders");
    }
    rig.keysets.promote("orders", 3);
    rig.keysets.promote("orders", 2);
    rig.keysets.compromise("orders", 3);
    rig.keysets.scheduleDestruction("orders", 4);
    rig.time.advance(WINDOW);
    rig.keysets.destroy("orders", 4);
    Keyset before = rig.keysets.get("orders");

    Instant now = rig.time.instant().truncatedTo(ChronoUnit.SECONDS);
    Keyset after = before;
    for (int version = 5; version <= 12; version++) {
      after = KeysetChange.promote(after, version, now);
    }
    List<KeyVersion> used = new ArrayList<>();
    for (KeyVersion version : after.versions()) {
      boolean gone = version.state() == KeyState.DESTROYED;
      used.add(
          gone
              ? version
              : version
                  .used(Long.MAX_VALUE, Long.MAX_VALUE)
                  .usedOn(now.truncatedTo(ChronoUnit.DAYS))
                  .withExpiry(inAYear()));
    }
    after = KeysetChange.setExpiry(after.next(12, used), inAYear());
    after =
        KeysetChange.setRotationPolicy(
            after,
            RotationPolicy.manual()
                .afterAge(RotationPolicy.MAX_AGE)
                .afterMessages(RotationPolicy.MAX_COUNT)
                .afterBytes(RotationPolicy.MAX_COUNT)
                .withPropagationDelay(RotationPolicy.MAX_PROPAGATION_DELAY));
    after = after.rewrapped(after.policy().withRootKeyRule(LONGEST_RULE), after.versions());
    after =
        KeysetChange.scheduleAll(
            after, inAYear(), DestructionGuard.at(now).overriddenBecause(LONGEST_REASON));
    after = KeysetChange.hold(after, new LegalHold(now, LONGEST_REASON));

    int revision = "9007199254740991".length() - Long.toString(after.revision()).length();
    int previous = "null".length() - "11".length();
    assertEquals(
        KeysetJson.length(DocumentRoom.fullest(before)),
        KeysetJson.length(after) + revision + previous);
  }

  @Test
  void reserve_isThatOfTheSpecification() {
    Keyset one = rig.keysets.create("orders", KeysetTemplate.defaults());
    Keyset two = rig.keysets.publish("orders");
    int ofVersion = reserve(two) - reserve(one);
    assertEquals(370, ofVersion);
    int ofKeyset = reserve(one) - ofVersion;
    assertTrue(ofKeyset > 8_500 && ofKeyset <= 8_700, "of the keyset " + ofKeyset);
  }

  private static int reserve(Keyset keyset) {
    return KeysetJson.length(DocumentRoom.fullest(keyset)) - KeysetJson.length(keyset);
  }

  @Test
  void limitOfTheStore_isThatOfTheKeyset() {
    Keysets keysets = over(rig.root);
    rig.store.maxDocumentChars = 20_000;
    keysets.create("orders", KeysetTemplate.defaults());
    String refusal = fill(keysets);
    assertTrue(refusal.contains("the limit is 20000"), refusal);
    keysets.scheduleDestructionDespiteUse("orders", LONGEST_REASON);
    rig.store.maxDocumentChars = documentLength();
    refusal = refusal(() -> keysets.placeHold("orders", "case 7"));
    assertTrue(refusal.contains("its document would have"), refusal);
    assertTrue(refusal.contains("destroy versions"), refusal);
  }

  @Test
  void create_withoutRoomToShred_isRefusedAndStoresNothing() {
    rig.store.maxDocumentChars = 2_000;
    refusal(() -> rig.keysets.create("orders", KeysetTemplate.defaults()));
    assertEquals(List.of(), rig.keysets.list().toList());
  }

  @Test
  void rotate_warnsBeforeItIsRefused() {
    rig.store.maxDocumentChars = 50_000;
    rig.keysets.create("orders", KeysetTemplate.defaults());
    int warnedAt = 0;
    for (int version = 2; warnedAt == 0; version++) {
      String log = Logged.during(() -> rig.keysets.rotate("orders"));
      if (log.contains("keyset orders is nearly full")) {
        warnedAt = version;
      }
    }
    assertFalse(
        Logged.during(() -> rig.keysets.setExpiry("orders", 1, inAYear())).contains("full"));
    fill(rig.keysets);
    int last = rig.keysets.get("orders").versions().size();
    assertTrue(warnedAt * 10 > last * 8 && warnedAt * 100 < last * 95, warnedAt + " of " + last);
  }

  @Test
  void rotate_toVersion900_warns() {
    plant(898);
    assertFalse(Logged.during(() -> rig.keysets.rotate("orders")).contains("nearly full"));
    assertTrue(
        Logged.during(() -> rig.keysets.rotate("orders")).contains("has 900 of 1000 versions"));
  }
}
