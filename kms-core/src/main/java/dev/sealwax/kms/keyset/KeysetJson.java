package dev.sealwax.kms.keyset;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.rootkey.RootKeyRule;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.vocabulary.KeysetCorruptedException;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.io.IOException;
import java.io.StringWriter;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.OptionalLong;
import java.util.SortedSet;
import org.jspecify.annotations.Nullable;

/**
 * The JSON of keyset-v1: exactly one text for every keyset, and nothing else is read.
 *
 * <p>The reader asks for each member in its place, which leaves no room for unknown, repeated or
 * missing ones, and then writes what it understood to compare it with what it was given.
 * Authenticity is not its business: see {@link DocumentKey}. Stateless; safe for any thread.
 */
final class KeysetJson {
  static final String FORMAT = "sealwax-keyset/v1";

  private static final String MAC_START = ",\"mac\":\"";
  private static final String MAC_END = "\"}";
  private static final int MAC_CHARS = 44; // base64 of 32 bytes
  private static final int TAIL_CHARS = MAC_START.length() + MAC_CHARS + MAC_END.length();
  private static final int INSTANT_CHARS = "2030-01-01T00:00:00Z".length();
  // The largest integer that every JSON implementation keeps exactly (RFC 8259 §6).
  private static final long MAX_REVISION = (1L << 53) - 1;

  private static final JsonFactory JSON =
      JsonFactory.builder()
          .streamReadConstraints(
              StreamReadConstraints.builder()
                  .maxDocumentLength(StoredKeyset.MAX_DOCUMENT_CHARS)
                  .maxNestingDepth(3)
                  .maxStringLength(2 * WrappedKey.MAX_BYTES)
                  .maxNumberLength(20)
                  .maxNameLength(32)
                  .build())
          .build();

  private final JsonParser parser;

  private KeysetJson(JsonParser parser) {
    this.parser = parser;
  }

  /** The canonical document up to, and without, the comma before its last member, {@code mac}. */
  static String body(Keyset keyset) {
    StringWriter out = new StringWriter();
    try (JsonGenerator json = JSON.createGenerator(out)) {
      json.writeStartObject();
      json.writeStringField("format", FORMAT);
      json.writeStringField("keyset", keyset.id().value());
      json.writeNumberField("revision", keyset.revision());
      writeOptional(json, "owner", keyset.owner().orElse(null));
      json.writeStringField("createdAt", keyset.createdAt().toString());
      RotationPolicy rotation = keyset.rotationPolicy();
      writeOptional(
          json,
          "rotateAfterSeconds",
          rotation.age().stream().mapToLong(Duration::toSeconds).findAny());
      writeOptional(json, "rotateAfterMessages", rotation.messages());
      writeOptional(json, "rotateAfterBytes", rotation.bytes());
      json.writeNumberField("propagationDelaySeconds", rotation.propagationDelay().toSeconds());
      json.writeNumberField("destructionWindowSeconds", keyset.destructionWindow().toSeconds());
      writeOptional(
          json,
          "quietPeriodSeconds",
          keyset.quietPeriod().stream().mapToLong(Duration::toSeconds).findAny());
      writeTags(json, "requiredRootKeyTags", keyset.rootKeyRule().required());
      writeTags(json, "forbiddenRootKeyTags", keyset.rootKeyRule().forbidden());
      LegalHold hold = keyset.hold().orElse(null);
      writeOptional(json, "heldSince", hold == null ? null : hold.since().toString());
      writeOptional(json, "holdReason", hold == null ? null : hold.reason());
      writeOptional(json, "expiresAt", keyset.expiresAt().map(Instant::toString).orElse(null));
      json.writeNumberField("primary", keyset.primary());
      writeOptional(
          json, "previousPrimary", keyset.previousPrimary().stream().asLongStream().findAny());
      json.writeArrayFieldStart("versions");
      for (KeyVersion version : keyset.versions()) {
        write(json, version);
      }
      json.writeEndArray();
      json.writeEndObject();
    } catch (IOException e) {
      throw new IllegalStateException("writing to memory failed", e);
    }
    return out.getBuffer().substring(0, out.getBuffer().length() - 1);
  }

  private static void write(JsonGenerator json, KeyVersion version) throws IOException {
    WrappedKey wrapped = version.wrapped();
    json.writeStartObject();
    json.writeNumberField("version", version.number());
    json.writeStringField("state", version.state().name());
    json.writeStringField("createdAt", version.createdAt().toString());
    writeOptional(json, "primaryAt", version.primaryAt().map(Instant::toString).orElse(null));
    json.writeNumberField("messages", version.messages());
    json.writeNumberField("bytes", version.bytes());
    writeOptional(json, "lastUsedAt", version.lastUsedAt().map(Instant::toString).orElse(null));
    json.writeBooleanField("compromised", version.isCompromised());
    writeOptional(json, "expiresAt", version.expiresAt().map(Instant::toString).orElse(null));
    writeOptional(json, "destroyAt", version.destroyAt().map(Instant::toString).orElse(null));
    writeOptional(json, "destroyedAt", version.destroyedAt().map(Instant::toString).orElse(null));
    writeOptional(json, "overrideReason", version.overrideReason().orElse(null));
    writeOptional(json, "rootKey", wrapped == null ? null : wrapped.rootKeyId().value());
    writeOptional(
        json,
        "wrapped",
        wrapped == null ? null : Base64.getEncoder().encodeToString(wrapped.ciphertext()));
    json.writeEndObject();
  }

  private static void writeTags(JsonGenerator json, String name, SortedSet<String> tags)
      throws IOException {
    json.writeArrayFieldStart(name);
    for (String tag : tags) {
      json.writeString(tag);
    }
    json.writeEndArray();
  }

  private static void writeOptional(JsonGenerator json, String name, @Nullable String value)
      throws IOException {
    if (value == null) {
      json.writeNullField(name);
    } else {
      json.writeStringField(name, value);
    }
  }

  private static void writeOptional(JsonGenerator json, String name, OptionalLong value)
      throws IOException {
    if (value.isEmpty()) {
      json.writeNullField(name);
    } else {
      json.writeNumberField(name, value.getAsLong());
    }
  }

  /** How many characters the document of a keyset has. */
  static int length(Keyset keyset) {
    return body(keyset).length() + TAIL_CHARS;
  }

  /** The document made of a body and its MAC. */
  static String join(String body, String mac) {
    return body + MAC_START + mac + MAC_END;
  }

  /** The body of a document, or null if it is too short to have one. */
  static @Nullable String bodyOf(String document) {
    int end = document.length() - TAIL_CHARS;
    return end < 1 ? null : document.substring(0, end);
  }

  /**
   * Reads a document, without a look at its authenticity.
   *
   * @throws KeysetCorruptedException if it is not a canonical keyset-v1 document of that keyset and
   *     revision
   */
  static Keyset read(StoredKeyset stored) {
    Keyset keyset;
    String mac;
    try (JsonParser parser = JSON.createParser(stored.document())) {
      KeysetJson json = new KeysetJson(parser);
      keyset = json.keyset();
      json.field("mac");
      mac = json.mac();
      json.expect(JsonToken.END_OBJECT, "the end of the document");
      json.expect(null, "nothing after the document");
    } catch (IOException | IllegalArgumentException | DateTimeException e) {
      throw new KeysetCorruptedException(stored.id(), String.valueOf(e.getMessage()), e);
    }
    if (!keyset.id().equals(stored.id()) || keyset.revision() != stored.revision()) {
      throw new KeysetCorruptedException(
          stored.id(),
          "it was stored as revision "
              + stored.revision()
              + " and says it is keyset "
              + keyset.id()
              + ", revision "
              + keyset.revision(),
          null);
    }
    if (!join(body(keyset), mac).equals(stored.document())) {
      throw new KeysetCorruptedException(stored.id(), "it is not in canonical form", null);
    }
    return keyset;
  }

  private Keyset keyset() throws IOException {
    expect(JsonToken.START_OBJECT, "an object");
    field("format");
    String format = text("format");
    if (!format.equals(FORMAT)) {
      throw new IllegalArgumentException("format is not " + FORMAT);
    }
    field("keyset");
    KeysetId id = KeysetId.of(text("keyset"));
    field("revision");
    long revision = number("revision", MAX_REVISION);
    field("owner");
    String owner = optionalText("owner");
    field("createdAt");
    Instant createdAt = instant(text("createdAt"));
    RotationPolicy rotation = rotationPolicy();
    field("destructionWindowSeconds");
    Duration window = Duration.ofSeconds(number("destructionWindowSeconds", Integer.MAX_VALUE));
    field("quietPeriodSeconds");
    OptionalLong quiet = optionalNumber("quietPeriodSeconds", Integer.MAX_VALUE);
    RootKeyRule rule =
        RootKeyRule.any()
            .requiring(tags("requiredRootKeyTags"))
            .forbidding(tags("forbiddenRootKeyTags"));
    LegalHold hold = hold();
    Instant expiresAt = expiresAt();
    field("primary");
    int primary = (int) number("primary", Keyset.MAX_VERSIONS);
    field("previousPrimary");
    OptionalLong previous = optionalNumber("previousPrimary", Keyset.MAX_VERSIONS);
    KeysetTemplate policy =
        KeysetTemplate.defaults()
            .withRotationPolicy(rotation)
            .withDestructionWindow(window)
            .withRootKeyRule(rule);
    if (quiet.isPresent()) {
      policy = policy.withQuietPeriod(Duration.ofSeconds(quiet.getAsLong()));
    }
    return Keyset.of(
        id,
        revision,
        owner == null ? policy : policy.withOwner(owner),
        hold,
        expiresAt,
        createdAt,
        primary,
        (int) previous.orElse(0),
        versions());
  }

  private String[] tags(String name) throws IOException {
    field(name);
    expect(JsonToken.START_ARRAY, "an array in " + name);
    List<String> tags = new ArrayList<>();
    while (parser.nextToken() == JsonToken.VALUE_STRING) {
      if (tags.size() == RootKeyRule.MAX_TAGS) {
        throw new IllegalArgumentException(name + " has more than " + tags.size() + " members");
      }
      tags.add(parser.getText());
    }
    if (parser.currentToken() != JsonToken.END_ARRAY) {
      throw new IllegalArgumentException(name + " may hold strings only");
    }
    return tags.toArray(String[]::new);
  }

  private @Nullable Instant expiresAt() throws IOException {
    field("expiresAt");
    String text = optionalText("expiresAt");
    return text == null ? null : instant(text);
  }

  private @Nullable LegalHold hold() throws IOException {
    field("heldSince");
    String since = optionalText("heldSince");
    field("holdReason");
    String reason = optionalText("holdReason");
    if (since == null && reason == null) {
      return null;
    }
    if (since == null || reason == null) {
      throw new IllegalArgumentException("a hold has both a date and a reason");
    }
    return new LegalHold(instant(since), reason);
  }

  private RotationPolicy rotationPolicy() throws IOException {
    RotationPolicy policy = RotationPolicy.manual();
    field("rotateAfterSeconds");
    OptionalLong seconds = optionalNumber("rotateAfterSeconds", Integer.MAX_VALUE);
    if (seconds.isPresent()) {
      policy = policy.afterAge(Duration.ofSeconds(seconds.getAsLong()));
    }
    field("rotateAfterMessages");
    OptionalLong messages = optionalNumber("rotateAfterMessages", RotationPolicy.MAX_COUNT);
    if (messages.isPresent()) {
      policy = policy.afterMessages(messages.getAsLong());
    }
    field("rotateAfterBytes");
    OptionalLong bytes = optionalNumber("rotateAfterBytes", RotationPolicy.MAX_COUNT);
    if (bytes.isPresent()) {
      policy = policy.afterBytes(bytes.getAsLong());
    }
    field("propagationDelaySeconds");
    return policy.withPropagationDelay(
        Duration.ofSeconds(number("propagationDelaySeconds", Integer.MAX_VALUE)));
  }

  private List<KeyVersion> versions() throws IOException {
    field("versions");
    expect(JsonToken.START_ARRAY, "an array in versions");
    List<KeyVersion> versions = new ArrayList<>();
    while (parser.nextToken() == JsonToken.START_OBJECT) {
      if (versions.size() == Keyset.MAX_VERSIONS) {
        throw new IllegalArgumentException("it has more than " + Keyset.MAX_VERSIONS + " versions");
      }
      versions.add(version());
    }
    if (parser.currentToken() != JsonToken.END_ARRAY) {
      throw new IllegalArgumentException("versions may hold objects only");
    }
    return versions;
  }

  private KeyVersion version() throws IOException {
    field("version");
    int number = (int) number("version", Keyset.MAX_VERSIONS);
    field("state");
    KeyState state = KeyState.valueOf(text("state"));
    field("createdAt");
    Instant createdAt = instant(text("createdAt"));
    field("primaryAt");
    String primaryAt = optionalText("primaryAt");
    field("messages");
    long messages = number("messages", 0, RotationPolicy.MAX_COUNT);
    field("bytes");
    long bytes = number("bytes", 0, RotationPolicy.MAX_COUNT);
    field("lastUsedAt");
    String lastUsedAt = optionalText("lastUsedAt");
    field("compromised");
    JsonToken compromised = parser.nextToken();
    if (compromised != JsonToken.VALUE_TRUE && compromised != JsonToken.VALUE_FALSE) {
      throw new IllegalArgumentException("compromised must be true or false");
    }
    Instant expiresAt = expiresAt();
    field("destroyAt");
    String destroyAt = optionalText("destroyAt");
    field("destroyedAt");
    String destroyedAt = optionalText("destroyedAt");
    field("overrideReason");
    String overrideReason = optionalText("overrideReason");
    field("rootKey");
    String rootKey = optionalText("rootKey");
    field("wrapped");
    byte[] wrapped = null;
    if (rootKey == null) {
      expect(JsonToken.VALUE_NULL, "null in wrapped, as in rootKey");
    } else {
      wrapped = base64("wrapped", WrappedKey.MAX_BYTES);
    }
    expect(JsonToken.END_OBJECT, "the end of version " + number);
    KeyVersion.Parts parts =
        new KeyVersion.Parts(
            number,
            state,
            createdAt,
            rootKey == null || wrapped == null
                ? null
                : WrappedKey.of(RootKeyId.of(rootKey), wrapped));
    parts.primaryAt = primaryAt == null ? null : instant(primaryAt);
    parts.messages = messages;
    parts.bytes = bytes;
    parts.lastUsedAt = lastUsedAt == null ? null : instant(lastUsedAt);
    parts.overrideReason = overrideReason;
    parts.compromised = compromised == JsonToken.VALUE_TRUE;
    parts.expiresAt = expiresAt;
    parts.destroyAt = destroyAt == null ? null : instant(destroyAt);
    parts.destroyedAt = destroyedAt == null ? null : instant(destroyedAt);
    return parts.join();
  }

  private String mac() throws IOException {
    byte[] mac = base64("mac", DocumentKey.MAC_BYTES);
    if (mac.length != DocumentKey.MAC_BYTES) {
      throw new IllegalArgumentException("mac must be " + DocumentKey.MAC_BYTES + " bytes");
    }
    return Base64.getEncoder().encodeToString(mac);
  }

  private void field(String name) throws IOException {
    if (parser.nextToken() != JsonToken.FIELD_NAME || !parser.currentName().equals(name)) {
      throw new IllegalArgumentException("member " + name + " is not where it belongs");
    }
  }

  private void expect(@Nullable JsonToken token, String what) throws IOException {
    if (parser.nextToken() != token) {
      throw new IllegalArgumentException("expected " + what);
    }
  }

  private String text(String name) throws IOException {
    expect(JsonToken.VALUE_STRING, "a string in " + name);
    return parser.getText();
  }

  private @Nullable String optionalText(String name) throws IOException {
    JsonToken token = parser.nextToken();
    if (token == JsonToken.VALUE_NULL) {
      return null;
    }
    if (token != JsonToken.VALUE_STRING) {
      throw new IllegalArgumentException("expected a string or null in " + name);
    }
    return parser.getText();
  }

  private long number(String name, long max) throws IOException {
    return number(name, 1, max);
  }

  private long number(String name, long min, long max) throws IOException {
    expect(JsonToken.VALUE_NUMBER_INT, "an integer in " + name);
    return withinBounds(name, min, max);
  }

  private OptionalLong optionalNumber(String name, long max) throws IOException {
    JsonToken token = parser.nextToken();
    if (token == JsonToken.VALUE_NULL) {
      return OptionalLong.empty();
    }
    if (token != JsonToken.VALUE_NUMBER_INT) {
      throw new IllegalArgumentException("expected an integer or null in " + name);
    }
    return OptionalLong.of(withinBounds(name, 1, max));
  }

  private long withinBounds(String name, long min, long max) throws IOException {
    long value = parser.getLongValue();
    if (value < min || value > max) {
      throw new IllegalArgumentException(
          name + " must be " + min + " to " + max + ", got " + value);
    }
    return value;
  }

  private byte[] base64(String name, int maxBytes) throws IOException {
    byte[] bytes = Base64.getDecoder().decode(text(name));
    if (bytes.length < 1 || bytes.length > maxBytes) {
      throw new IllegalArgumentException(
          name + " must be 1 to " + maxBytes + " bytes, got " + bytes.length);
    }
    return bytes;
  }

  private static Instant instant(String text) {
    if (text.length() != INSTANT_CHARS) {
      throw new IllegalArgumentException("instants are written like 2030-01-01T00:00:00Z");
    }
    return Instant.parse(text);
  }
}
