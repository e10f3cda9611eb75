package dev.sealwax.kms.envelope;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.sealwax.kms.keyset.KeyState;
import dev.sealwax.kms.keyset.TestKeysets;
import dev.sealwax.kms.rootkey.TestRootKeys;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;

/**
 * However a message is cut into writes, reads and seeks, it is the same message, also for a second
 * implementation of the format.
 */
class EnvelopeStreamProperties {
  private static final EncryptionContext ROW = EncryptionContext.of("table", "orders", "row", "é");
  private static final byte[] KEK = EnvelopeCipherTest.bytes(32);
  private static final ReferenceDecoder REFERENCE = new ReferenceDecoder("orders", KEK);
  private static EnvelopeRig rig = EnvelopeRig.create();

  @BeforeContainer
  static void open() {
    rig.close();
    var root = TestRootKeys.inMemory();
    rig =
        EnvelopeRig.over(
            root,
            TestKeysets.stored(
                KeysetId.of("orders"),
                1,
                List.of(new TestKeysets.Version(KeyState.ENABLED, KEK)),
                root));
  }

  @AfterContainer
  static void close() {
    rig.close();
  }

  /** Lengths around the edges of chunks, and any up to four chunks. */
  @Provide
  Arbitrary<Integer> lengths() {
    return Arbitraries.oneOf(
        Arbitraries.of(0, 1, 16383, 16384, 16385, 32767, 32768, 32769, 49152),
        Arbitraries.integers().between(0, 60_000));
  }

  @Property(tries = 150)
  void encryptingStream_inAnyWrites_isTheMessage(
      @ForAll("lengths") int length, @ForAll Random random) throws IOException {
    byte[] plaintext = EnvelopeCipherTest.bytes(length);
    ByteArrayOutputStream sink = new ByteArrayOutputStream();
    try (EnvelopeOutputStream out = rig.cipher().encryptingStream(sink, ROW)) {
      int done = 0;
      while (done < length) {
        int part = Math.min(length - done, step(random));
        if (part == 1) {
          out.write(plaintext[done]);
        } else {
          out.write(plaintext, done, part);
        }
        done += part;
        if (random.nextInt(4) == 0) {
          out.flush();
        }
      }
    }
    byte[] envelope = sink.toByteArray();

    assertEquals(rig.cipher().chunkedEnvelopeLength(length), envelope.length);
    assertArrayEquals(plaintext, rig.cipher().decrypt(envelope, ROW));
    assertArrayEquals(plaintext, REFERENCE.open(ROW, envelope));
  }

  @Property(tries = 100)
  void pullingAndTransferringStreams_areTheMessage(
      @ForAll("lengths") int length, @ForAll Random random) throws IOException {
    byte[] plaintext = EnvelopeCipherTest.bytes(length);
    ByteArrayOutputStream transferred = new ByteArrayOutputStream();
    assertEquals(length, rig.cipher().encrypt(Dribble.of(plaintext), transferred, ROW));
    byte[] pulled;
    try (InputStream in = rig.cipher().encryptingStream(Dribble.of(plaintext), ROW)) {
      pulled = readAll(in, random);
    }

    for (byte[] envelope : List.of(transferred.toByteArray(), pulled)) {
      assertArrayEquals(plaintext, REFERENCE.open(ROW, envelope));
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      assertEquals(length, rig.cipher().decrypt(Dribble.of(envelope), out, ROW));
      assertArrayEquals(plaintext, out.toByteArray());
    }
  }

  @Property(tries = 150)
  void decryptingStream_inAnyReads_isTheMessage(
      @ForAll("lengths") int length, @ForAll Random random) throws IOException {
    byte[] plaintext = EnvelopeCipherTest.bytes(length);
    int suite = length <= 32768 ? 1 + random.nextInt(2) : 2;
    byte[] envelope = REFERENCE.seal(suite, 1, ROW, plaintext, random);

    assertArrayEquals(plaintext, rig.cipher().decrypt(envelope, ROW));
    try (InputStream in =
        rig.cipher()
            .decryptingStream(
                random.nextBoolean() ? Dribble.of(envelope) : new ByteArrayInputStream(envelope),
                ROW)) {
      assertArrayEquals(plaintext, readAll(in, random));
      assertEquals(-1, in.read());
      assertEquals(-1, in.read(new byte[3]));
    }
  }

  @Property(tries = 100)
  void decryptingChannel_atAnyPosition_isThatPartOfTheMessage(
      @ForAll("lengths") int length, @ForAll Random random) throws IOException {
    byte[] plaintext = EnvelopeCipherTest.bytes(length);
    byte[] envelope =
        random.nextBoolean()
            ? rig.cipher().encrypt(plaintext, ROW)
            : REFERENCE.seal(2, 1, ROW, plaintext, random);
    try (SeekableByteChannel in = rig.cipher().decryptingChannel(new ArrayChannel(envelope), ROW)) {
      assertEquals(length, in.size());
      for (int i = 0; i < 12; i++) {
        int position = random.nextInt(length + 20);
        ByteBuffer out = buffer(random);
        int read = in.position(position).read(out);
        if (position >= length) {
          assertEquals(-1, read);
          assertEquals(position, in.position());
        } else {
          int expected = Math.min(out.capacity(), length - position);
          assertEquals(expected, read);
          assertEquals(position + read, in.position());
          byte[] got = new byte[read];
          out.get(0, got);
          assertArrayEquals(Arrays.copyOfRange(plaintext, position, position + read), got);
        }
      }
    }
  }

  /** A buffer with an array, with a part of one, or with none. */
  private static ByteBuffer buffer(Random random) {
    int length = random.nextInt(40_000);
    return switch (random.nextInt(3)) {
      case 0 -> ByteBuffer.allocate(length);
      case 1 -> ByteBuffer.allocate(length + 10).slice(3, length);
      default -> ByteBuffer.allocateDirect(length);
    };
  }

  private static byte[] readAll(InputStream in, Random random) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    while (true) {
      int step = step(random);
      if (step == 1) {
        int b = in.read();
        if (b < 0) {
          return out.toByteArray();
        }
        out.write(b);
      } else {
        byte[] buffer = new byte[step + 2];
        int read = in.read(buffer, 1, step);
        if (read < 0) {
          return out.toByteArray();
        }
        assertEquals(0, buffer[0] | buffer[step + 1], "wrote outside the range");
        out.write(buffer, 1, read);
      }
    }
  }

  private static int step(Random random) {
    return switch (random.nextInt(4)) {
      case 0 -> 1;
      case 1 -> 1 + random.nextInt(100);
      case 2 -> 16383 + random.nextInt(3);
      default -> 1 + random.nextInt(40_000);
    };
  }
}
