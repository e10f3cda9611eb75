package dev.sealwax.kms.keyset;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import dev.sealwax.kms.events.Announcer;
import dev.sealwax.kms.rootkey.RootKeyRule;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.KeysetCorruptedException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KmsException;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.Base64;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Documents that somebody with access to the store has edited: nothing of them may be used. */
final class KeysetDocumentTest {
  private static final Pattern WRAPPED = Pattern.compile("\"wrapped\":\"([^\"]+)\"");

  /** The largest integer of a document: 2^53 - 1. */
  private static final long MAX_EXACT = (1L << 53) - 1;

  private final Rig rig = new Rig();

  @BeforeEach
  void createOrders() {
    rig.keysets.create("orders", KeysetTemplate.defaults().withOwner("team"));
    rig.keysets.rotate("orders");
    rig.keysets.publish("orders");
    rig.keysets.disable("orders", 1);
  }

  @AfterEach
  void close() {
    rig.close();
  }

  static String wrappedOf(String document, int version) {
    Matcher matcher = WRAPPED.matcher(document);
    for (int i = 0; i < version; i++) {
      assertTrue(matcher.find());
    }
    return matcher.group(1);
  }

  /** Reads with a process that has never seen the keyset, and with one that has. */
  private void assertRejected(String what) {
    for (OpenKeysets process : List.of(rig.process(), rig.process)) {
      RuntimeException e =
          assertThrows(
              RuntimeException.class, () -> process.keysets().get("orders"), "accepted: " + what);
      assertInstanceOf(KeysetCorruptedException.class, e, what);
    }
  }

  private void assertEditRejected(UnaryOperator<String> edit) {
    StoredKeyset good = rig.store.stored("orders");
    rig.store.edit("orders", edit);
    assertRejected(rig.store.stored("orders").document());
    rig.store.plant(good);
    rig.process().keysets().get("orders");
  }

  /**
   * As above, and the parser alone must find it: whoever holds the document key cannot write it
   * either.
   */
  private void assertFormRejected(UnaryOperator<String> edit) {
    assertEditRejected(edit);
    StoredKeyset good = rig.store.stored("orders");
    StoredKeyset edited = new StoredKeyset(good.id(), good.revision(), edit.apply(good.document()));
    assertThrows(KeysetCorruptedException.class, () -> KeysetJson.read(edited), edited.document());
  }

  private static UnaryOperator<String> replacing(String from, String to) {
    return document -> {
      int at = document.indexOf(from);
      assertTrue(at >= 0, from);
      return document.substring(0, at) + to + document.substring(at + from.length());
    };
  }

  /** Cites KS-3. */
  @Test
  void document_isTheOneOfTheSpec() {
    String document = rig.store.stored("orders").document();
    String version =
        "\\{\"version\":%d,\"state\":\"%s\",\"createdAt\":\"2030-01-01T00:00:00Z\","
            + "\"primaryAt\":%s,\"messages\":0,\"bytes\":0,\"lastUsedAt\":null,"
            + "\"compromised\":false,\"expiresAt\":null,\"destroyAt\":null,\"destroyedAt\":null,"
            + "\"overrideReason\":null,\"rootKey\":\"test:one\",\"wrapped\":\"[A-Za-z0-9+/]{123}=\"\\}";
    String expected =
        "\\{\"format\":\"sealwax-keyset/v1\",\"keyset\":\"orders\",\"revision\":4,"
            + "\"owner\":\"team\",\"createdAt\":\"2030-01-01T00:00:00Z\","
            + "\"rotateAfterSeconds\":7776000,\"rotateAfterMessages\":null,\"rotateAfterBytes\":null,"
            + "\"propagationDelaySeconds\":60,\"destructionWindowSeconds\":2592000,"
            + "\"quietPeriodSeconds\":null,\"requiredRootKeyTags\":\\[\\],"
            + "\"forbiddenRootKeyTags\":\\[\\],\"heldSince\":null,\"holdReason\":null,\"expiresAt\":null,"
            + "\"primary\":2,\"previousPrimary\":1,\"versions\":\\["
            + String.format(version, 1, "DISABLED", "\"2030-01-01T00:00:00Z\"")
            + ","
            + String.format(version, 2, "ENABLED", "\"2030-01-01T00:00:00Z\"")
            + ","
            + String.format(version, 3, "PENDING", "null")
            + "\\],\"mac\":\"[A-Za-z0-9+/]{43}=\"\\}";
    assertTrue(document.matches(expected), document);
  }

  /*
   * What another implementation would do, from the words of keyset-v1 §2 and §5 and nothing of
   * ours.
   */
  /** Cites KS-1, KS-2, KS-6. */
  @Test
  void mac_recomputedByTheWordsOfTheSpec_fits() throws GeneralSecurityException {
    String document = rig.store.stored("orders").document();
    KeyVersion second = rig.keysets.get("orders").version(2).orElseThrow();
    byte[] documentKey = new byte[32];
    try (KeyMaterial secret =
        rig.root.unwrap(
            second.wrapped(),
            EncryptionContext.of(
                "sealwax", "key-version/v1", "keyset", "orders", "version", "2"))) {
      secret.use(
          bytes -> {
            assertEquals(64, bytes.length);
            System.arraycopy(bytes, 32, documentKey, 0, 32);
            return null;
          });
    }
    byte[] macKey = hmac(documentKey, "sealwax/keyset-document/v1\0\1");
    String body = document.substring(0, document.lastIndexOf(",\"mac\":"));
    String mac = Base64.getEncoder().encodeToString(hmac(macKey, body));
    assertEquals(body + ",\"mac\":\"" + mac + "\"}", document);
  }

  private static byte[] hmac(byte[] key, String message) throws GeneralSecurityException {
    Mac mac = Mac.getInstance("HmacSHA256");
    mac.init(new SecretKeySpec(key, "HmacSHA256"));
    return mac.doFinal(message.getBytes(StandardCharsets.US_ASCII));
  }

  /** Cites KS-4, KS-5, KS-13. */
  @Test
  void edit_ofAnyMember_isRejected() {
    assertEditRejected(replacing("\"state\":\"DISABLED\"", "\"state\":\"ENABLED\""));
    assertEditRejected(replacing("\"state\":\"PENDING\"", "\"state\":\"ENABLED\""));
    assertEditRejected(replacing("\"primary\":2", "\"primary\":1"));
    assertEditRejected(replacing("\"primary\":2", "\"primary\":4"));
    assertEditRejected(replacing("\"owner\":\"team\"", "\"owner\":\"mean\""));
    assertEditRejected(replacing("\"owner\":\"team\"", "\"owner\":null"));
    assertEditRejected(replacing("7776000", "7776001"));
    assertEditRejected(replacing("\"rotateAfterSeconds\":7776000", "\"rotateAfterSeconds\":null"));
    assertEditRejected(replacing("\"rotateAfterMessages\":null", "\"rotateAfterMessages\":131072"));
    assertEditRejected(replacing("\"rotateAfterBytes\":null", "\"rotateAfterBytes\":134217728"));
    assertEditRejected(
        replacing("\"propagationDelaySeconds\":60", "\"propagationDelaySeconds\":61"));
    assertEditRejected(replacing("\"previousPrimary\":1", "\"previousPrimary\":null"));
    assertEditRejected(replacing("\"messages\":0", "\"messages\":1"));
    assertEditRejected(replacing("\"quietPeriodSeconds\":null", "\"quietPeriodSeconds\":86400"));
    assertEditRejected(replacing("\"requiredRootKeyTags\":[]", "\"requiredRootKeyTags\":[\"a\"]"));
    assertEditRejected(
        replacing(
            "\"heldSince\":null,\"holdReason\":null",
            "\"heldSince\":\"2030-01-01T00:00:00Z\",\"holdReason\":\"case 7\""));
    assertEditRejected(replacing("\"lastUsedAt\":null", "\"lastUsedAt\":\"2030-01-01T00:00:00Z\""));
    assertEditRejected(replacing("\"bytes\":0", "\"bytes\":1"));
    assertEditRejected(replacing("2592000", "2591999"));
    assertEditRejected(replacing("\"keyset\":\"orders\"", "\"keyset\":\"order5\""));
    assertEditRejected(replacing("\"revision\":4", "\"revision\":5"));
    assertEditRejected(replacing("\"compromised\":false", "\"compromised\":true"));
    assertEditRejected(replacing("2030-01-01T00:00:00Z", "2031-01-01T00:00:00Z"));
    assertEditRejected(replacing("sealwax-keyset/v1", "sealwax-keyset/v2"));
  }

  @Test
  void revision_raisedInDocumentAndStore_isRejected() {
    StoredKeyset good = rig.store.stored("orders");
    rig.store.plant(
        new StoredKeyset(
            good.id(), 9, good.document().replace("\"revision\":4", "\"revision\":9")));
    assertRejected("revision 9");
  }

  /** Cites KS-3. */
  @Test
  void edit_ofTheJson_isRejected() {
    assertFormRejected(d -> d + " ");
    assertFormRejected(d -> " " + d);
    assertFormRejected(d -> d + "{}");
    assertFormRejected(d -> d + d);
    assertFormRejected(d -> "");
    assertFormRejected(d -> "null");
    assertFormRejected(d -> "[]");
    assertFormRejected(d -> "{}");
    assertFormRejected(d -> "[".repeat(100_000));
    assertFormRejected(replacing("\"primary\":2", "\"primary\":2,\"primary\":2"));
    assertFormRejected(replacing("\"primary\":2", "\"primary\":2,\"extra\":1"));
    assertFormRejected(replacing("\"primary\":2,", ""));
    assertFormRejected(replacing("\"primary\":2", "\"primary\":2.0"));
    assertFormRejected(replacing("\"primary\":2", "\"primary\":2e0"));
    assertFormRejected(replacing("\"primary\":2", "\"primary\":02"));
    assertFormRejected(replacing("\"primary\":2", "\"primary\":\"2\""));
    assertFormRejected(replacing("\"primary\":2", "\"primary\":-2"));
    assertFormRejected(replacing("\"primary\":2", "\"primary\":null"));
    assertFormRejected(replacing("\"primary\":2", "\"primary\":4294967298"));
    assertFormRejected(replacing("\"primary\":2", "\"primary\":18446744073709551618"));
    assertFormRejected(replacing("\"primary\":2", "\"primary\": 2"));
    assertFormRejected(replacing("\"primary\":2", "\"\\u0070rimary\":2"));
    assertFormRejected(replacing("\"rotateAfterMessages\":null", "\"rotateAfterMessages\":131071"));
    assertFormRejected(
        replacing("\"rotateAfterMessages\":null", "\"rotateAfterMessages\":9007199254740992"));
    assertFormRejected(replacing("\"rotateAfterBytes\":null", "\"rotateAfterBytes\":134217727"));
    assertFormRejected(replacing("\"rotateAfterBytes\":null", "\"rotateAfterBytes\":\"\""));
    assertFormRejected(
        replacing("\"propagationDelaySeconds\":60", "\"propagationDelaySeconds\":9"));
    assertFormRejected(
        replacing("\"propagationDelaySeconds\":60", "\"propagationDelaySeconds\":null"));
    assertFormRejected(replacing("\"previousPrimary\":1", "\"previousPrimary\":2"));
    assertFormRejected(replacing("\"previousPrimary\":1", "\"previousPrimary\":3"));
    assertFormRejected(replacing("\"previousPrimary\":1", "\"previousPrimary\":0"));
    assertFormRejected(replacing("\"messages\":0", "\"messages\":-1"));
    assertFormRejected(replacing("\"quietPeriodSeconds\":null", "\"quietPeriodSeconds\":86401"));
    String noTags = "\"requiredRootKeyTags\":[],\"forbiddenRootKeyTags\":[]";
    for (String tags :
        List.of(
            "\"requiredRootKeyTags\":null,\"forbiddenRootKeyTags\":[]",
            "\"requiredRootKeyTags\":[],\"forbiddenRootKeyTags\":[null]",
            "\"requiredRootKeyTags\":[\"b\",\"a\"],\"forbiddenRootKeyTags\":[]",
            "\"requiredRootKeyTags\":[\"a\",\"a\"],\"forbiddenRootKeyTags\":[]",
            "\"requiredRootKeyTags\":[\"a\"],\"forbiddenRootKeyTags\":[\"a\"]",
            "\"requiredRootKeyTags\":[\"a b\"],\"forbiddenRootKeyTags\":[]",
            "\"requiredRootKeyTags\":[\"\"],\"forbiddenRootKeyTags\":[]",
            "\"requiredRootKeyTags\":[[]],\"forbiddenRootKeyTags\":[]",
            "\"forbiddenRootKeyTags\":[],\"requiredRootKeyTags\":[]")) {
      assertFormRejected(replacing(noTags, tags));
    }
    assertFormRejected(replacing("\"heldSince\":null", "\"heldSince\":\"2030-01-01T00:00:00Z\""));
    assertFormRejected(replacing("\"holdReason\":null", "\"holdReason\":\"case 7\""));
    assertFormRejected(
        replacing(
            "\"heldSince\":null,\"holdReason\":null",
            "\"heldSince\":\"2030-01-01T00:00:00Z\",\"holdReason\":\"\""));
    assertFormRejected(replacing("\"lastUsedAt\":null", "\"lastUsedAt\":\"2030-01-01T00:00:01Z\""));
    assertFormRejected(replacing("\"overrideReason\":null", "\"overrideReason\":\"spill\""));
    assertFormRejected(replacing("\"bytes\":0", "\"bytes\":null"));
    assertFormRejected(replacing("\"owner\":\"team\"", "\"owner\":\"\\u0074eam\""));
    assertFormRejected(replacing("\"owner\":\"team\"", "\"owner\":\"\""));
    assertFormRejected(replacing("\"compromised\":false", "\"compromised\":0"));
    assertFormRejected(replacing("\"destroyAt\":null", "\"destroyAt\":\"\""));
    assertFormRejected(replacing("00:00:00Z", "00:00:00.000Z"));
    assertFormRejected(replacing("2030-01-01T00:00:00Z", "2030-01-01T00:00+00:00"));
    assertFormRejected(replacing("\"state\":\"DISABLED\"", "\"state\":\"disabled\""));
    assertFormRejected(
        replacing("\"keyset\":\"orders\",\"revision\":4", "\"revision\":4,\"keyset\":\"orders\""));
    assertFormRejected(replacing("=\"}],", "\"}],"));
    assertFormRejected(d -> d.replaceFirst("\"mac\":\"[^\"]*\"", "\"mac\":\"AAAA\""));
    assertFormRejected(d -> d.replaceFirst("\"mac\":\"[^\"]*\"", "\"mac\":null"));
    assertFormRejected(d -> d.replaceFirst(",\"mac\":\"[^\"]*\"", ""));
  }

  /** Cites KS-3. */
  @Test
  void edit_beyondABound_isRejectedAndUpToItIsRead() {
    assertBounds("\"rotateAfterSeconds\":7776000", "\"rotateAfterSeconds\":", 86_400, 63_072_000);
    assertBounds("\"rotateAfterMessages\":null", "\"rotateAfterMessages\":", 131_072, MAX_EXACT);
    assertBounds("\"rotateAfterBytes\":null", "\"rotateAfterBytes\":", 134_217_728, MAX_EXACT);
    assertBounds("\"propagationDelaySeconds\":60", "\"propagationDelaySeconds\":", 10, 604_800);
    assertBounds(
        "\"destructionWindowSeconds\":2592000",
        "\"destructionWindowSeconds\":",
        604_800,
        2_592_000);
    assertBounds("\"messages\":0", "\"messages\":", 0, MAX_EXACT);
    assertBounds("\"bytes\":0", "\"bytes\":", 0, MAX_EXACT);
    assertFormRejected(replacing("\"revision\":4", "\"revision\":0"));
    for (int tags = 16; tags <= 17; tags++) {
      String all =
          IntStream.range(10, 10 + tags)
              .mapToObj(i -> "\"" + i + "\"")
              .collect(Collectors.joining(",", "[", "]"));
      for (String member : List.of("\"requiredRootKeyTags\":", "\"forbiddenRootKeyTags\":")) {
        assertBound(tags <= 16, replacing(member + "[]", member + all));
      }
    }
    for (String rootKey : List.of("test", ":one", "test:", ":", "", "t o:one")) {
      assertFormRejected(replacing("test:one", rootKey));
    }
    assertBound(true, replacing("test:one", "t:" + "x".repeat(510)));
    assertBound(false, replacing("test:one", "t:" + "x".repeat(511)));
    String wrapped = wrappedOf(rig.store.stored("orders").document(), 1);
    for (int bytes : new int[] {0, 1, 8192, 8193}) {
      String other = Base64.getEncoder().encodeToString(new byte[bytes]);
      assertBound(bytes >= 1 && bytes <= 8192, replacing(wrapped, other));
    }
  }

  private void assertBounds(String from, String member, long least, long most) {
    assertBound(false, replacing(from, member + (least - 1)));
    assertBound(true, replacing(from, member + least));
    assertBound(true, replacing(from, member + most));
    assertBound(false, replacing(from, member + (most + 1)));
  }

  /** What is within the bounds the parser reads, though nobody has authenticated it. */
  private void assertBound(boolean within, UnaryOperator<String> edit) {
    if (within) {
      StoredKeyset good = rig.store.stored("orders");
      KeysetJson.read(new StoredKeyset(good.id(), good.revision(), edit.apply(good.document())));
    } else {
      assertFormRejected(edit);
    }
  }

  /** Cites KS-3. */
  @Test
  void revision_beyondTheLargestExactInteger_isRejected() {
    StoredKeyset good = rig.store.stored("orders");
    for (long revision : new long[] {MAX_EXACT, MAX_EXACT + 1}) {
      StoredKeyset edited =
          new StoredKeyset(
              good.id(),
              revision,
              replacing("\"revision\":4", "\"revision\":" + revision).apply(good.document()));
      if (revision == MAX_EXACT) {
        assertEquals(revision, KeysetJson.read(edited).revision());
      } else {
        assertThrows(KeysetCorruptedException.class, () -> KeysetJson.read(edited));
        rig.store.plant(edited);
        assertRejected("revision " + revision);
      }
    }
  }

  /** Cites KS-3. */
  @Test
  void versions_misnumberedNoneOrTooMany_areRejected() {
    String document = rig.store.stored("orders").document();
    String pending = document.replaceAll(".*(\\{\"version\":3,.*})],.*", "$1");
    assertTrue(pending.startsWith("{\"version\":3,\"state\":\"PENDING\""), pending);
    UnaryOperator<String> emptied = d -> d.replaceAll("\\[\\{.*}],\"mac\"", "[],\"mac\"");
    assertTrue(emptied.apply(document).contains("\"versions\":[],\"mac\""));
    assertFormRejected(emptied);
    for (String other : List.of("0", "1", "2", "4", "1001", "-3", "null", "\"3\"")) {
      assertFormRejected(replacing("{\"version\":3,", "{\"version\":" + other + ","));
    }
    assertFormRejected(
        d ->
            d.replace("{\"version\":1,", "{\"version\":@,")
                .replace("{\"version\":2,", "{\"version\":1,")
                .replace("{\"version\":@,", "{\"version\":2,"));
    for (int count : new int[] {1000, 1001}) {
      String more =
          IntStream.rangeClosed(3, count)
              .mapToObj(number -> pending.replace("\"version\":3", "\"version\":" + number))
              .collect(Collectors.joining(","));
      assertBound(count <= 1000, replacing(pending, more));
    }
  }

  @Test
  void edit_base64WithOtherUnusedBits_isRejected() {
    // The last character before one '=' carries two unused bits; 'A' to 'B' changes only those.
    String mac = rig.store.stored("orders").document().replaceAll(".*\"mac\":\"(.*)\"}", "$1");
    char last = mac.charAt(42);
    String alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char same = alphabet.charAt(alphabet.indexOf(last) ^ 1);
    assertFormRejected(replacing(mac, mac.substring(0, 42) + same + "="));
  }

  @Test
  void everyCharacter_flipped_isRejected() {
    StoredKeyset good = rig.store.stored("orders");
    String document = good.document();
    int rootKeys = 0;
    for (int i = 0; i < document.length(); i++) {
      char[] flipped = document.toCharArray();
      flipped[i] = (char) (flipped[i] ^ 1);
      rig.store.plant(new StoredKeyset(good.id(), good.revision(), new String(flipped)));
      for (OpenKeysets process : List.of(rig.process(), rig.process)) {
        try {
          process.keysets().get("orders");
          fail("accepted a flip at " + i);
        } catch (KmsException e) {
          if (e instanceof RootKeyException unknownRoot) {
            // A root key cannot tell an altered name from the name of another root key.
            assertEquals(RootKeyException.Reason.NOT_FOUND, unknownRoot.reason());
            assertTrue(
                document.substring(0, i).endsWith("test:one".substring(0, i - start(document, i))));
            rootKeys++;
          } else {
            assertInstanceOf(KeysetCorruptedException.class, e);
          }
        }
      }
    }
    assertTrue(rootKeys > 0 && rootKeys <= 2 * "test:one".length(), "got " + rootKeys);
  }

  private static int start(String document, int at) {
    return document.lastIndexOf("\"rootKey\":\"", at) + "\"rootKey\":\"".length();
  }

  @Test
  void everyTruncation_isRejected() {
    StoredKeyset good = rig.store.stored("orders");
    for (int length = 0; length < good.document().length(); length++) {
      String cut = good.document().substring(0, length);
      rig.store.plant(new StoredKeyset(good.id(), good.revision(), cut));
      assertRejected(cut);
    }
  }

  @Test
  void wrappedKeys_swappedBetweenVersions_areRejected() {
    String document = rig.store.stored("orders").document();
    String first = wrappedOf(document, 1);
    String second = wrappedOf(document, 2);
    assertEditRejected(d -> d.replace(first, "@").replace(second, first).replace("@", second));
    assertEditRejected(d -> d.replace(first, second));
  }

  @Test
  void wrappedKeyOrDocument_ofAnotherKeyset_isRejected() {
    rig.keysets.create("logs", KeysetTemplate.defaults());
    String theirs = rig.store.stored("logs").document();
    String ours = rig.store.stored("orders").document();
    assertEditRejected(replacing(wrappedOf(ours, 2), wrappedOf(theirs, 1)));
    assertEditRejected(d -> theirs);
    assertEditRejected(d -> theirs.replace("\"keyset\":\"logs\"", "\"keyset\":\"orders\""));
  }

  @Test
  void wrappedKey_altered_keepsTheRootKeysReasonAsCause() {
    String wrapped = wrappedOf(rig.store.stored("orders").document(), 2);
    char other = wrapped.charAt(50) == 'A' ? 'B' : 'A';
    rig.store.edit(
        "orders", replacing(wrapped, wrapped.substring(0, 50) + other + wrapped.substring(51)));
    KeysetCorruptedException e =
        assertThrows(KeysetCorruptedException.class, () -> rig.process().keysets().get("orders"));
    RootKeyException cause = assertInstanceOf(RootKeyException.class, e.getCause());
    assertEquals(RootKeyException.Reason.INVALID_CIPHERTEXT, cause.reason());
  }

  /** Cites KS-14. */
  @Test
  void rollback_toAnOlderAuthenticDocument_isRejectedByWhoKnewTheNewer() {
    StoredKeyset old = rig.store.stored("orders");
    rig.keysets.compromise("orders", 3);
    rig.store.plant(old);
    assertThrows(KeysetCorruptedException.class, () -> rig.keysets.get("orders"));
    assertThrows(KeysetCorruptedException.class, () -> rig.keysets.rotate("orders"));
    assertEquals(4, rig.process().keysets().get("orders").revision(), "the limit in the spec");
    rig.time.advance(Rig.HARD.multipliedBy(2));
    assertThrows(KeysetCorruptedException.class, () -> rig.open("orders").snapshot(0));
  }

  @Test
  void fork_twoAuthenticDocumentsOfOneRevision_isRejected() {
    StoredKeyset base = rig.store.stored("orders");
    rig.process().keysets().rotate("orders");
    StoredKeyset fork = rig.store.stored("orders");
    rig.store.plant(base);
    rig.keysets.compromise("orders", 3);
    rig.store.plant(fork);
    assertThrows(KeysetCorruptedException.class, () -> rig.keysets.get("orders"));
  }

  /** Cites KS-14. */
  @Test
  void fork_thatHasOvertakenAProcess_isRejectedByIt() {
    StoredKeyset base = rig.store.stored("orders");
    rig.keysets.rotate("orders");
    rig.store.plant(base);
    Keysets restored = rig.process().keysets();
    restored.rotate("orders"); // the same number, another key
    restored.rotate("orders");

    assertThrows(KeysetCorruptedException.class, () -> rig.keysets.get("orders"));
  }

  /** Cites KS-20. */
  @Test
  void tombstone_forgedOverALiveKeyset_isRejectedByWhoKnewIt() {
    rig.keysets.create("gone", KeysetTemplate.defaults());
    rig.keysets.scheduleDestruction("gone");
    rig.time.advance(Duration.ofDays(30));
    rig.keysets.destroy("gone");
    String forged =
        rig.store
            .stored("gone")
            .document()
            .replace("\"keyset\":\"gone\",\"revision\":3", "\"keyset\":\"orders\",\"revision\":9");
    StoredKeyset good = rig.store.stored("orders");
    rig.store.plant(new StoredKeyset(KeysetId.of("orders"), 9, forged));
    assertThrows(KeysetCorruptedException.class, () -> rig.keysets.get("orders"));
    OpenKeysets fresh = rig.process();
    assertTrue(fresh.keysets().get("orders").isDestroyed(), "denial is all that is gained");
    rig.store.plant(good);
    assertFalse(fresh.keysets().get("orders").isDestroyed(), "and ends with the forgery");
  }

  /** Cites KS-15. */
  @Test
  void versionWrappedWithAnotherDocumentKey_isRejectedWhenItIsUnwrapped() {
    // Somebody who could once call the root key and holds the document key of now plants a key pair
    // of his own.
    Keyset keyset = rig.keysets.get("orders");
    DocumentKey alien = DocumentKey.random(new SecureRandom());
    WrappedKey planted;
    try (VersionSecret secret = VersionSecret.generate(new SecureRandom(), alien)) {
      planted =
          new RootCalls(
                  rig.root, new Announcer(null), System::nanoTime, (id, version, wrapped) -> {})
              .wrap(keyset.id(), 3, secret, RootKeyRule.any());
    }
    KeyVersion third = keyset.version(3).orElseThrow();
    WrappedKey second = keyset.version(2).orElseThrow().wrapped();
    try (VersionSecret own =
            new RootCalls(
                    rig.root, new Announcer(null), System::nanoTime, (id, version, wrapped) -> {})
                .unwrap(keyset.id(), 2, second);
        DocumentKey documentKey = own.documentKey()) {
      Keyset forged = keyset.replacing(third.withWrapped(planted));
      String document = documentKey.seal(KeysetJson.body(forged));
      rig.store.plant(new StoredKeyset(keyset.id(), forged.revision(), document));
    }
    OpenKeyset open = rig.process().open(KeysetId.of("orders"));
    Rig.wrap(open, 2);
    assertThrows(KeysetCorruptedException.class, () -> Rig.wrap(open, 3));
    assertThrows(
        KeysetCorruptedException.class,
        () -> rig.process().keysets().moveToRootKey("orders", new ScriptedRootKey("test:two")));
  }

  @Test
  void keyset_brokenRules_cannotBeBuilt() {
    Keyset good = rig.keysets.get("orders");
    List<KeyVersion> versions = good.versions();
    assertThrows(IllegalArgumentException.class, () -> good.next(3, versions), "pending primary");
    assertThrows(IllegalArgumentException.class, () -> good.next(0, versions));
    assertThrows(IllegalArgumentException.class, () -> good.next(4, versions));
    assertThrows(IllegalArgumentException.class, () -> good.next(1, List.of()));
    assertThrows(IllegalArgumentException.class, () -> good.next(1, versions.subList(1, 3)));
    assertThrows(
        IllegalArgumentException.class,
        () -> good.next(1, List.of(versions.get(0), versions.get(0))));
    KeyVersion gone = versions.get(0).scheduled(ManualTime.START, null).destroyed(ManualTime.START);
    assertThrows(
        IllegalArgumentException.class,
        () -> good.next(1, List.of(gone, versions.get(1))),
        "destroyed primary");
    WrappedKey wrapped = versions.get(0).wrapped();
    assertCannotJoin(KeyState.ENABLED, wrapped, parts -> parts.compromised = true);
    assertCannotJoin(KeyState.COMPROMISED, wrapped, parts -> {});
    assertCannotJoin(KeyState.ENABLED, null, parts -> {});
    assertCannotJoin(KeyState.DESTROYED, wrapped, parts -> parts.destroyedAt = ManualTime.START);
    assertCannotJoin(KeyState.PENDING, wrapped, parts -> parts.primaryAt = ManualTime.START);
    assertCannotJoin(KeyState.ENABLED, wrapped, parts -> parts.messages = 1);
    assertCannotJoin(KeyState.ENABLED, wrapped, parts -> parts.bytes = 1);
    assertCannotJoin(KeyState.ENABLED, wrapped, parts -> parts.lastUsedAt = ManualTime.START);
    assertCannotJoin(KeyState.ENABLED, wrapped, parts -> parts.overrideReason = "spill");
    KeyVersion marked = versions.get(0).withState(KeyState.COMPROMISED);
    assertThrows(
        IllegalArgumentException.class,
        () -> marked.scheduled(ManualTime.START, null).withState(KeyState.DISABLED),
        "the mark cannot get lost");
    assertThrows(IllegalStateException.class, () -> versions.get(0).withState(KeyState.PENDING));
  }

  private static void assertCannotJoin(
      KeyState state, @Nullable WrappedKey wrapped, Consumer<KeyVersion.Parts> edit) {
    KeyVersion.Parts parts = new KeyVersion.Parts(1, state, ManualTime.START, wrapped);
    edit.accept(parts);
    assertThrows(IllegalArgumentException.class, parts::join);
  }
}
