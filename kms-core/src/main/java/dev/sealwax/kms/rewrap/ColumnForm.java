package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.envelope.EnvelopeInfo;
import java.nio.charset.StandardCharsets;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Types;
import java.util.Arrays;
import java.util.Base64;
import org.jspecify.annotations.Nullable;

/**
 * How a column holds envelopes: as their bytes, or in the text form of envelope-v1 §12, which a
 * type of fixed width fills up with spaces.
 */
enum ColumnForm {
  BINARY,
  TEXT,
  PADDED_TEXT;

  private static final String PREFIX = "swx1.";
  private static final int DIGITS = 4; // of text, for
  private static final int BYTES = 3; // of envelope
  private static final byte[] NOTHING = {};

  /** The longest header rounded up to whole groups of base64. */
  private static final int MAX_START_BYTES = roundUp(EnvelopeInfo.MAX_HEADER_BYTES);

  /** The form of a JDBC type, or null if it cannot hold envelopes. */
  static @Nullable ColumnForm of(int jdbcType) {
    return switch (jdbcType) {
      case Types.BINARY, Types.VARBINARY, Types.LONGVARBINARY -> BINARY;
      case Types.VARCHAR, Types.LONGVARCHAR, Types.NVARCHAR -> TEXT;
      case Types.CHAR, Types.NCHAR -> PADDED_TEXT;
      default -> null;
    };
  }

  /** How much of a value is enough to see any header, in bytes or characters. */
  int startLength() {
    return this == BINARY
        ? EnvelopeInfo.MAX_HEADER_BYTES
        : PREFIX.length() + MAX_START_BYTES / BYTES * DIGITS;
  }

  /** A record out of the start of its value. */
  EnvelopeRecord read(String id, ResultSet row, int index) throws SQLException {
    if (this == BINARY) {
      byte[] start = row.getBytes(index);
      return start == null ? EnvelopeRecord.none(id) : EnvelopeRecord.of(id, start);
    }
    String start = row.getString(index);
    return start == null
        ? EnvelopeRecord.none(id)
        : EnvelopeRecord.of(id, decode(withoutPadding(start)));
  }

  private String withoutPadding(String text) {
    int length = text.length();
    while (this == PADDED_TEXT && length > 0 && text.charAt(length - 1) == ' ') {
      length--;
    }
    return text.substring(0, length);
  }

  /** The start of an envelope; nothing, which is no envelope, if the text is none. */
  private static byte[] decode(String text) {
    if (!text.startsWith(PREFIX)) {
      return NOTHING;
    }
    String digits = text.substring(PREFIX.length());
    // A short value ends in the middle of a group: its last bytes are beyond any header.
    String groups = digits.substring(0, digits.length() / DIGITS * DIGITS);
    try {
      byte[] start = Base64.getUrlDecoder().decode(groups.getBytes(StandardCharsets.ISO_8859_1));
      // Padding would have cost bytes, and has no place here.
      return start.length == groups.length() / DIGITS * BYTES ? start : NOTHING;
    } catch (IllegalArgumentException e) {
      return NOTHING;
    }
  }

  /** The whole envelope of a value; nothing, which is no envelope, if it is none or null. */
  byte[] readWhole(ResultSet row, int index) throws SQLException {
    if (this == BINARY) {
      byte[] bytes = row.getBytes(index);
      return bytes == null ? NOTHING : bytes;
    }
    String value = row.getString(index);
    String text = value == null ? "" : withoutPadding(value);
    if (!text.startsWith(PREFIX)) {
      return NOTHING;
    }
    try {
      byte[] digits = text.substring(PREFIX.length()).getBytes(StandardCharsets.ISO_8859_1);
      byte[] envelope = Base64.getUrlDecoder().decode(digits);
      return wholeValue(envelope).equals(text) ? envelope : NOTHING; // one text for each envelope
    } catch (IllegalArgumentException e) {
      return NOTHING;
    }
  }

  /** The value of a whole envelope: {@code byte[]} or {@link String}. */
  Object wholeValue(byte[] envelope) {
    return this == BINARY
        ? envelope
        : PREFIX + Base64.getUrlEncoder().withoutPadding().encodeToString(envelope);
  }

  /** How much of the value the header takes up, in bytes or characters. */
  int headerLength(int headerBytes) {
    return this == BINARY ? headerBytes : PREFIX.length() + roundUp(headerBytes) / BYTES * DIGITS;
  }

  /** What stands there and must still do so: {@code byte[]} or {@link String}. */
  Object oldValue(HeaderChange change) {
    return value(change, change.record().start());
  }

  /** What should stand there. */
  Object newValue(HeaderChange change) {
    return value(change, change.newHeader());
  }

  private Object value(HeaderChange change, byte[] header) {
    int headerBytes = change.newHeader().length;
    if (this == BINARY) {
      return header.length == headerBytes ? header : Arrays.copyOf(header, headerBytes);
    }
    // The last group of digits may hold a byte or two of the body, which stay what they are.
    byte[] groups = Arrays.copyOf(change.record().start(), roundUp(headerBytes));
    System.arraycopy(header, 0, groups, 0, headerBytes);
    return PREFIX + Base64.getUrlEncoder().withoutPadding().encodeToString(groups);
  }

  void bind(PreparedStatement statement, int index, Object value) throws SQLException {
    if (this == BINARY) {
      statement.setBytes(index, (byte[]) value);
    } else {
      statement.setString(index, (String) value);
    }
  }

  private static int roundUp(int bytes) {
    return (bytes + BYTES - 1) / BYTES * BYTES;
  }
}
