package dev.sealwax.kms.envelope;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.channels.Channels;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every operation of a cipher that uses a key is refused as soon as its version is disabled. */
final class DisabledVersionTest {
  private static final EncryptionContext ROW = EncryptionContext.of("row", "42");
  private static final int HEADER = EnvelopeHeader.lengthFor(KeysetId.of(EnvelopeRig.NAME));

  /** The public methods that need no key. */
  private static final Set<String> WITHOUT_A_KEY =
      Set.of("keyset()", "chunkedEnvelopeLength(long)", "toString()");

  /** What an operation works on, and what it has let out so far. */
  private static final class Work {
    final EnvelopeCipher cipher;
    final byte[] plaintext;
    final byte[] envelope;
    final ByteArrayOutputStream out = new ByteArrayOutputStream();

    Work(EnvelopeCipher cipher, byte[] plaintext, byte[] envelope) {
      this.cipher = cipher;
      this.plaintext = plaintext;
      this.envelope = envelope;
    }

    InputStream in() {
      return new ByteArrayInputStream(envelope);
    }

    InputStream message() {
      return new ByteArrayInputStream(plaintext);
    }

    byte[] header() {
      return Arrays.copyOf(envelope, HEADER);
    }

    byte[] body() {
      return Arrays.copyOfRange(envelope, HEADER, envelope.length);
    }

    void rewrapInPlace() throws IOException {
      try (ArrayChannel file = new ArrayChannel(envelope)) {
        try {
          cipher.rewrap(file);
        } finally {
          if (!Arrays.equals(envelope, file.content())) {
            out.write(file.content());
          }
        }
      }
    }

    void write(OutputStream stream) throws IOException {
      try (stream) {
        stream.write(plaintext);
      }
    }

    void read(InputStream stream) throws IOException {
      try (stream) {
        stream.transferTo(out);
      }
    }
  }

  private interface Step {
    void run(Work work) throws IOException;
  }

  /** Which versions an operation needs. */
  private enum Needs {
    THE_PRIMARY,
    THAT_OF_THE_ENVELOPE,
    BOTH
  }

  private record Operation(String method, Needs needs, Step step) {
    @Override
    public String toString() {
      return method;
    }
  }

  private static final List<Operation> OPERATIONS =
      List.of(
          seals("encrypt(byte[],EncryptionContext)", w -> w.cipher.encrypt(w.plaintext, ROW)),
          seals(
              "encryptToText(byte[],EncryptionContext)",
              w -> w.cipher.encryptToText(w.plaintext, ROW)),
          seals(
              "encryptSplit(byte[],EncryptionContext)",
              w -> w.cipher.encryptSplit(w.plaintext, ROW)),
          seals(
              "encrypt(InputStream,OutputStream,EncryptionContext)",
              w -> w.cipher.encrypt(w.message(), w.out, ROW)),
          seals(
              "encryptingStream(OutputStream,EncryptionContext)",
              w -> w.write(w.cipher.encryptingStream(w.out, ROW))),
          seals(
              "encryptingBodyStream(OutputStream,EncryptionContext)",
              w -> w.write(w.cipher.encryptingBodyStream(w.out, ROW))),
          seals(
              "encryptingStream(InputStream,EncryptionContext)",
              w -> w.read(w.cipher.encryptingStream(w.message(), ROW))),
          seals("warmUp()", w -> w.cipher.warmUp()),
          opens("decrypt(byte[],EncryptionContext)", w -> w.cipher.decrypt(w.envelope, ROW)),
          opens(
              "decryptText(String,EncryptionContext)",
              w -> w.cipher.decryptText(TextForm.encode(w.envelope), ROW)),
          opens(
              "decryptSplit(SplitEnvelope,EncryptionContext)",
              w -> w.cipher.decryptSplit(SplitEnvelope.of(w.envelope), ROW)),
          opens(
              "decrypt(InputStream,OutputStream,EncryptionContext)",
              w -> w.cipher.decrypt(w.in(), w.out, ROW)),
          opens(
              "decryptingStream(InputStream,EncryptionContext)",
              w -> w.read(w.cipher.decryptingStream(w.in(), ROW))),
          opens(
              "decryptingStream(byte[],InputStream,EncryptionContext)",
              w ->
                  w.read(
                      w.cipher.decryptingStream(
                          w.header(), new ByteArrayInputStream(w.body()), ROW))),
          opens(
              "decryptingChannel(ReadableByteChannel,EncryptionContext)",
              w ->
                  w.read(
                      Channels.newInputStream(
                          w.cipher.decryptingChannel(Channels.newChannel(w.in()), ROW)))),
          opens(
              "decryptingChannel(SeekableByteChannel,EncryptionContext)",
              w ->
                  w.read(
                      Channels.newInputStream(
                          w.cipher.decryptingChannel(new ArrayChannel(w.envelope), ROW)))),
          opens(
              "decryptingChannel(byte[],SeekableByteChannel,EncryptionContext)",
              w ->
                  w.read(
                      Channels.newInputStream(
                          w.cipher.decryptingChannel(
                              w.header(), new ArrayChannel(w.body()), ROW)))),
          moves("rewrap(byte[])", w -> w.cipher.rewrap(w.envelope)),
          moves("rewrapHeader(byte[])", w -> w.cipher.rewrapHeader(w.header())),
          moves("rewrapText(String)", w -> w.cipher.rewrapText(TextForm.encode(w.envelope))),
          moves("rewrap(SeekableByteChannel)", Work::rewrapInPlace),
          moves("reencrypt(byte[],EncryptionContext)", w -> w.cipher.reencrypt(w.envelope, ROW)),
          moves(
              "reencrypt(InputStream,OutputStream,EncryptionContext)",
              w -> w.cipher.reencrypt(w.in(), w.out, ROW)));

  private static Operation seals(String method, Step step) {
    return new Operation(method, Needs.THE_PRIMARY, step);
  }

  private static Operation opens(String method, Step step) {
    return new Operation(method, Needs.THAT_OF_THE_ENVELOPE, step);
  }

  private static Operation moves(String method, Step step) {
    return new Operation(method, Needs.BOTH, step);
  }

  static Stream<Operation> operations() {
    return OPERATIONS.stream();
  }

  @Test
  void operations_areAllThatThereAre() {
    Set<String> methods = new TreeSet<>();
    for (Method method : EnvelopeCipher.class.getDeclaredMethods()) {
      if (Modifier.isPublic(method.getModifiers()) && !method.isSynthetic()) {
        methods.add(
            Arrays.stream(method.getParameterTypes())
                .map(Class::getSimpleName)
                .collect(Collectors.joining(",", method.getName() + "(", ")")));
      }
    }
    methods.removeAll(WITHOUT_A_KEY);
    assertEquals(
        methods,
        operations().map(Operation::method).collect(Collectors.toCollection(TreeSet::new)));
  }

  /** Which version is disabled. */
  private enum Disabled {
    THE_ONLY_ONE(1),
    THAT_OF_THE_ENVELOPE(1),
    THE_PRIMARY(2);

    private final int version;

    Disabled(int version) {
      this.version = version;
    }

    boolean stops(Needs needs) {
      return switch (this) {
        case THE_ONLY_ONE -> true;
        case THAT_OF_THE_ENVELOPE -> needs != Needs.THE_PRIMARY;
        case THE_PRIMARY -> needs != Needs.THAT_OF_THE_ENVELOPE;
      };
    }
  }

  @ParameterizedTest
  @MethodSource("operations")
  void disable_isRefusedByTheVeryNextCall_cachedOrNot(Operation operation) throws IOException {
    for (Disabled disabled : Disabled.values()) {
      for (int length : new int[] {10, 40_000}) {
        requireRefusal(operation, disabled, length, /* cached= */ false);
        requireRefusal(operation, disabled, length, /* cached= */ true);
      }
    }
  }

  private static void requireRefusal(
      Operation operation, Disabled disabled, int length, boolean cached) throws IOException {
    String what = disabled + " disabled, " + length + " bytes, cached: " + cached;
    byte[] plaintext = EnvelopeCipherTest.bytes(length);
    try (EnvelopeRig maker = EnvelopeRig.create();
        EnvelopeRig rig = maker.another()) {
      byte[] envelope = maker.cipher().encrypt(plaintext, ROW);
      if (disabled != Disabled.THE_ONLY_ONE) {
        rig.verbs().rotate(EnvelopeRig.NAME);
      }
      if (cached) {
        rig.cipher().decrypt(envelope, ROW);
        rig.cipher().encrypt(plaintext, ROW);
        operation.step.run(new Work(rig.cipher(), plaintext, envelope));
      }

      rig.verbs().disable(EnvelopeRig.NAME, disabled.version);

      Work work = new Work(rig.cipher(), plaintext, envelope);
      if (disabled.stops(operation.needs)) {
        KeyUnavailableException refused =
            assertThrows(KeyUnavailableException.class, () -> operation.step.run(work), what);
        assertEquals(KeyUnavailableException.Reason.DISABLED, refused.reason(), what);
        assertEquals(disabled.version, refused.version(), what);
        assertEquals(0, work.out.size(), () -> "let something out: " + what);
      } else {
        operation.step.run(work);
      }
      rig.verbs().enable(EnvelopeRig.NAME, disabled.version);
      operation.step.run(new Work(rig.cipher(), plaintext, envelope));
    }
  }
}
