package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.rewrap.RewrapFailure.Reason;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.RewrapException;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The text of rewrap-checkpoint-v1: exactly one for every state, and nothing else is read.
 *
 * <p>The reader takes line after line, each in its place, and then writes what it understood to
 * compare it with what it was given.
 */
final class RewrapStateText {
  static final String FORMAT = "sealwax-rewrap-checkpoint/v1";
  static final int MAX_CHARS = 1 << 20;

  private static final String DIGEST = "sha256 ";
  private static final HexFormat HEX = HexFormat.of();

  private final String[] lines;
  private int next;

  private RewrapStateText(String[] lines) {
    this.lines = lines;
  }

  static String write(RewrapState state) {
    StringBuilder out = new StringBuilder(512);
    line(out, FORMAT);
    line(out, "job", state.job());
    line(out, "started", state.startedAt());
    state.sources().forEach(source -> line(out, "source", escape(source)));
    line(out, "at", state.at());
    if (state.position() != null) {
      line(out, "position", escape(state.position()));
    }
    for (MoveTarget target : state.targets()) {
      line(out, "keyset", target.keyset(), target.primary(), target.primarySince(), target.since());
    }
    for (VersionCount row : state.versions()) {
      line(out, "version", row.keyset(), row.version(), row.found(), row.left());
    }
    RewrapCounts counts = state.counts();
    line(
        out,
        "counts",
        counts.scanned(),
        counts.moved(),
        counts.reencrypted(),
        counts.alreadyThere(),
        counts.withoutValue(),
        counts.otherKeyset(),
        counts.gone());
    counts.failures().forEach((reason, count) -> line(out, "failed", reason, count));
    return out + DIGEST + digest(out) + '\n';
  }

  private static void line(StringBuilder out, Object... words) {
    for (int i = 0; i < words.length; i++) {
      out.append(i == 0 ? "" : " ").append(words[i]);
    }
    out.append('\n');
  }

  /**
   * Reads a state.
   *
   * @throws RewrapException if the text is anything but what {@link #write} makes
   */
  static RewrapState read(String text) {
    if (text.length() > MAX_CHARS) {
      throw corrupted("it has more than " + MAX_CHARS + " characters", null);
    }
    int end = text.lastIndexOf(DIGEST);
    if (end < 0 || !text.substring(end).equals(DIGEST + digest(text.substring(0, end)) + '\n')) {
      throw corrupted("its digest does not fit", null);
    }
    RewrapState state;
    try {
      state = new RewrapStateText(text.substring(0, end).split("\n", -1)).read();
    } catch (IllegalArgumentException | DateTimeException e) {
      throw corrupted("it is not what this version writes", e);
    }
    if (!write(state).equals(text)) {
      throw corrupted("it is not what this version writes", null);
    }
    return state;
  }

  private RewrapState read() {
    if (!line().equals(FORMAT)) {
      throw new IllegalArgumentException("another format");
    }
    RewrapJob job = RewrapJob.valueOf(words("job", 1)[1]);
    Instant startedAt = Instant.parse(words("started", 1)[1]);
    List<String> sources = new ArrayList<>();
    while (isNext("source")) {
      sources.add(unescape(words("source", 1)[1]));
    }
    int at = Integer.parseInt(words("at", 1)[1]);
    String position = isNext("position") ? unescape(words("position", 1)[1]) : null;
    List<MoveTarget> targets = new ArrayList<>();
    while (isNext("keyset")) {
      String[] words = words("keyset", 4);
      targets.add(
          new MoveTarget(
              KeysetId.of(words[1]),
              Integer.parseInt(words[2]),
              Long.parseLong(words[3]),
              Instant.parse(words[4])));
    }
    List<VersionCount> versions = new ArrayList<>();
    while (isNext("version")) {
      String[] words = words("version", 4);
      versions.add(
          new VersionCount(
              KeysetId.of(words[1]), Integer.parseInt(words[2]), count(words[3]), count(words[4])));
    }
    RewrapCounts counts = counts();
    if (!line().isEmpty() || next != lines.length) {
      throw new IllegalArgumentException("surplus lines");
    }
    if (at < 0 || at > sources.size() || (at == sources.size() && position != null)) {
      throw new IllegalArgumentException("no such source");
    }
    return new RewrapState(job, startedAt, sources, at, position, targets, counts, versions);
  }

  private RewrapCounts counts() {
    String[] words = words("counts", 7);
    Map<Reason, Long> failures = new EnumMap<>(Reason.class);
    while (isNext("failed")) {
      String[] failed = words("failed", 2);
      failures.put(Reason.valueOf(failed[1]), count(failed[2]));
    }
    return new RewrapCounts(
        count(words[1]),
        count(words[2]),
        count(words[3]),
        count(words[4]),
        count(words[5]),
        count(words[6]),
        count(words[7]),
        failures);
  }

  private static long count(String word) {
    long count = Long.parseLong(word);
    if (count < 0) {
      throw new IllegalArgumentException("negative count");
    }
    return count;
  }

  private boolean isNext(String key) {
    return next < lines.length && lines[next].startsWith(key + " ");
  }

  private String[] words(String key, int count) {
    String[] words = line().split(" ", -1);
    if (words.length != count + 1 || !words[0].equals(key)) {
      throw new IllegalArgumentException("expected " + key);
    }
    return words;
  }

  private String line() {
    if (next == lines.length) {
      throw new IllegalArgumentException("ends too soon");
    }
    return lines[next++];
  }

  /** Anything but visible ASCII, and the percent sign itself, as %XX of its UTF-8 bytes. */
  static String escape(String text) {
    StringBuilder out = new StringBuilder();
    for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
      if (b > ' ' && b < 0x7F && b != '%') {
        out.append((char) b);
      } else {
        out.append('%').append(HEX.withUpperCase().toHexDigits(b));
      }
    }
    // An empty word would vanish between its spaces.
    return text.isEmpty() ? "%" : out.toString();
  }

  static String unescape(String word) {
    if (word.equals("%")) {
      return "";
    }
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    for (int i = 0; i < word.length(); i++) {
      char c = word.charAt(i);
      if (c != '%') {
        out.write(c);
      } else if (i + 2 < word.length()) {
        out.write(HexFormat.fromHexDigits(word, i + 1, i + 3));
        i += 2;
      } else {
        throw new IllegalArgumentException("half an escape");
      }
    }
    try {
      return StandardCharsets.UTF_8
          .newDecoder()
          .decode(ByteBuffer.wrap(out.toByteArray()))
          .toString();
    } catch (CharacterCodingException e) {
      throw new IllegalArgumentException("not UTF-8", e);
    }
  }

  private static String digest(CharSequence text) {
    try {
      byte[] bytes = text.toString().getBytes(StandardCharsets.UTF_8);
      return HEX.formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }

  private static RewrapException corrupted(String problem, @Nullable Throwable cause) {
    return new RewrapException(
        RewrapException.Reason.CHECKPOINT_CORRUPTED,
        "the checkpoint is damaged, " + problem + "; delete it to scan from the beginning",
        cause);
  }
}
