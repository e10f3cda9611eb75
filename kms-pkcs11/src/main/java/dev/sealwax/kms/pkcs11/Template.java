package dev.sealwax.kms.pkcs11;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Attributes of an object to create or to find, in order. Built by one thread. */
final class Template {
  /** One attribute; the value is in the module's own layout. */
  static final class Attribute {
    private final long type;
    private final byte[] value;

    private Attribute(long type, byte[] value) {
      this.type = type;
      this.value = value;
    }

    long type() {
      return type;
    }

    /** Not a copy. */
    byte[] value() {
      return value;
    }
  }

  private final List<Attribute> attributes = new ArrayList<>();

  Template number(long type, long value) {
    return bytes(type, encode(value));
  }

  Template flag(long type, boolean value) {
    return bytes(type, new byte[] {(byte) (value ? 1 : 0)});
  }

  Template text(long type, String value) {
    return bytes(type, value.getBytes(StandardCharsets.UTF_8));
  }

  Template bytes(long type, byte[] value) {
    attributes.add(new Attribute(type, value));
    return this;
  }

  /** A new one that says in addition that these flags are not set. */
  Template without(long... types) {
    Template extended = new Template();
    extended.attributes.addAll(attributes);
    for (long type : types) {
      extended.flag(type, false);
    }
    return extended;
  }

  List<Attribute> attributes() {
    return attributes;
  }

  /** Wipes all values; for templates that carry a secret. */
  void wipe() {
    attributes.forEach(attribute -> Arrays.fill(attribute.value(), (byte) 0));
  }

  /** A {@code CK_ULONG}: eight bytes in the machine's order on the platforms that are supported. */
  static byte[] encode(long value) {
    return ByteBuffer.allocate(Long.BYTES).order(ByteOrder.nativeOrder()).putLong(value).array();
  }

  /** The reverse of {@link #encode}; -1 for anything that is not eight bytes long. */
  static long decode(byte[] value) {
    return value.length == Long.BYTES
        ? ByteBuffer.wrap(value).order(ByteOrder.nativeOrder()).getLong()
        : Ck.UNAVAILABLE;
  }
}
