package dev.sealwax.kms.envelope;

import static dev.sealwax.kms.crypto.ChunkCipher.CHUNK_BYTES;
import static dev.sealwax.kms.crypto.ChunkCipher.SEALED_CHUNK_BYTES;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.crypto.ChunkCipher;
import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KmsException;
import dev.sealwax.kms.vocabulary.MalformedEnvelopeException;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.NonWritableChannelException;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.SeekableByteChannel;
import java.security.Provider;
import java.security.Security;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Streams and channels that end early, break, or are used after their end. */
@SuppressWarnings("InputStreamSlowMultibyteRead") // sources that fail need not be fast
final class EnvelopeStreamTest {
  private static final EncryptionContext ROW = EncryptionContext.of("row", "42");
  private static final int LENGTH = 40_000;

  /** Where the first chunk begins. */
  private static final int FIRST_CHUNK = 88 + ChunkCipher.PREFIX_BYTES;

  private final EnvelopeRig rig = EnvelopeRig.create();
  private final EnvelopeCipher cipher = rig.cipher();
  private final Sink sink = new Sink();

  @AfterEach
  void close() {
    rig.close();
  }

  private void assertDoesNotDecrypt(byte[] left) {
    assertThrows(KmsException.class, () -> cipher.decrypt(left, ROW));
    assertThrows(
        KmsException.class,
        () -> {
          try (InputStream in = cipher.decryptingStream(new ByteArrayInputStream(left), ROW)) {
            in.readAllBytes();
          }
        });
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 16_383, 16_384, 16_385, LENGTH})
  void abort_leavesWhatDoesNotDecrypt(int written) throws IOException {
    EnvelopeOutputStream out = cipher.encryptingStream(sink, ROW);
    out.write(bytes(), 0, written);
    out.abort();

    assertEquals(1, sink.closed);
    assertDoesNotDecrypt(sink.bytes());
    out.abort();
    out.close();
    assertEquals(1, sink.closed);
    assertThrows(IOException.class, () -> out.write(1));
    assertEquals(1, rig.ciphers.statistics().abandoned(), "the abort counts once");
    assertEquals(2, rig.ciphers.statistics().failures(), "of the two attempts to decrypt");
  }

  @Test
  void abort_afterClose_doesNothing() throws IOException {
    EnvelopeOutputStream out = cipher.encryptingStream(sink, ROW);
    out.write(bytes());
    out.close();
    out.abort();

    assertArrayEquals(bytes(), cipher.decrypt(sink.bytes(), ROW));
    assertEquals(0, rig.ciphers.statistics().failures());
  }

  @Test
  void close_twice_writesTheEndOnce() throws IOException {
    EnvelopeOutputStream out = cipher.encryptingStream(sink, ROW);
    out.write(bytes());
    out.close();
    byte[] envelope = sink.bytes();
    out.close();
    out.flush();

    assertArrayEquals(envelope, sink.bytes());
    assertEquals(1, sink.closed);
    assertThrows(IOException.class, () -> out.write(1));
    assertThrows(IOException.class, () -> out.write(bytes(), 0, 5));
    assertArrayEquals(bytes(), cipher.decrypt(envelope, ROW));
    assertEquals(1, rig.ciphers.statistics().messagesEncrypted());
  }

  @Test
  void write_outsideTheArray_isRefusedAndHarmsNothing() throws IOException {
    EnvelopeOutputStream out = cipher.encryptingStream(sink, ROW);
    assertThrows(IndexOutOfBoundsException.class, () -> out.write(new byte[4], 2, 3));
    assertThrows(IndexOutOfBoundsException.class, () -> out.write(new byte[4], -1, 1));
    out.write(7);
    out.close();

    assertArrayEquals(new byte[] {7}, cipher.decrypt(sink.bytes(), ROW));
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 16_383, 16_384, 32_768, LENGTH})
  void encrypt_whenTheSourceFailsHalfWay_leavesWhatDoesNotDecrypt(int good) {
    IOException failure = new IOException("source");
    InputStream source = failingAfter(good, failure);

    assertSame(failure, assertThrows(IOException.class, () -> cipher.encrypt(source, sink, ROW)));
    assertDoesNotDecrypt(sink.bytes());
  }

  @Test
  void encrypt_whenTheSourceThrowsUnchecked_leavesWhatDoesNotDecrypt() {
    InputStream source =
        new InputStream() {
          @Override
          public int read() {
            throw new IllegalStateException("source");
          }
        };

    assertThrows(IllegalStateException.class, () -> cipher.encrypt(source, sink, ROW));
    assertDoesNotDecrypt(sink.bytes());
  }

  @Test
  void encryptingStream_thatIsPulled_whenTheSourceFails_neverEnds() throws IOException {
    IOException failure = new IOException("source");
    ByteArrayOutputStream pulled = new ByteArrayOutputStream();
    InputStream in = cipher.encryptingStream(failingAfter(20_000, failure), ROW);

    assertSame(failure, assertThrows(IOException.class, () -> in.transferTo(pulled)));
    assertThrows(IOException.class, in::read);
    assertThrows(IOException.class, () -> in.read(new byte[5]));
    in.close();
    assertDoesNotDecrypt(pulled.toByteArray());
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 10, 144, 145, 16_544, 16_545, 20_000})
  void write_whenTheSinkFails_isNeverRepeatedAndDoesNotDecrypt(int room) {
    sink.room = room;
    EnvelopeOutputStream out = cipher.encryptingStream(sink, ROW);
    assertThrows(
        IOException.class,
        () -> {
          out.write(bytes());
          out.close();
        });
    sink.room = Integer.MAX_VALUE;

    byte[] left = sink.bytes();
    assertThrows(IOException.class, () -> out.write(1));
    assertThrows(IOException.class, () -> out.write(new byte[20_000]));
    try {
      out.close();
    } catch (IOException e) {
      throw new AssertionError("closing after a failure closes the sink only", e);
    }
    assertArrayEquals(left, sink.bytes(), "nothing follows what is broken");
    assertTrue(sink.closed > 0);
    assertEquals(1, rig.ciphers.statistics().failures());
    assertEquals(0, rig.ciphers.statistics().messagesEncrypted());
    assertDoesNotDecrypt(left);
  }

  @Test
  void decryptingStream_afterClose_refusesReads() throws IOException {
    byte[] envelope = cipher.encrypt(bytes(), ROW);
    InputStream in = cipher.decryptingStream(new ByteArrayInputStream(envelope), ROW);
    assertEquals(bytes()[0], (byte) in.read());
    in.close();
    in.close();

    assertThrows(IOException.class, in::read);
    assertThrows(IOException.class, () -> in.read(new byte[3], 0, 3));
  }

  @Test
  void decryptingStream_readOfNothing_returnsZero() throws IOException {
    byte[] envelope = cipher.encrypt(bytes(), ROW);
    try (InputStream in = cipher.decryptingStream(new ByteArrayInputStream(envelope), ROW)) {
      assertEquals(0, in.read(new byte[3], 3, 0));
      assertThrows(IndexOutOfBoundsException.class, () -> in.read(new byte[3], 1, 3));
      assertArrayEquals(bytes(), in.readAllBytes());
    }
  }

  /** With a JCE provider that decrypts while it reads and looks at the tag last. */
  @Test
  void read_ofAWholeChunkThatIsBad_leavesNoPlaintextInTheArray() throws Exception {
    byte[] envelope = cipher.encrypt(bytes(), ROW);
    envelope[FIRST_CHUNK + 2 * SEALED_CHUNK_BYTES - 1] ^= 1;
    byte[] out = new byte[40_000];
    Provider decryptsFirst = new BouncyCastleProvider();
    Security.insertProviderAt(decryptsFirst, 1);
    try (InputStream in = cipher.decryptingStream(new ByteArrayInputStream(envelope), ROW);
        SeekableByteChannel channel = cipher.decryptingChannel(new ArrayChannel(envelope), ROW)) {
      assertEquals(CHUNK_BYTES, in.read(out));
      assertArrayEquals(Arrays.copyOf(bytes(), CHUNK_BYTES), Arrays.copyOf(out, CHUNK_BYTES));

      Arrays.fill(out, (byte) 0x55);
      assertThrows(DecryptionFailedException.class, () -> in.read(out, 7, 20_000));
      assertAreZeros(out, 7, CHUNK_BYTES);

      Arrays.fill(out, (byte) 0x55);
      ByteBuffer buffer = ByteBuffer.wrap(out).position(9);
      channel.position(CHUNK_BYTES);
      assertThrows(DecryptionFailedException.class, () -> channel.read(buffer));
      assertEquals(9, buffer.position());
      assertAreZeros(out, 9, CHUNK_BYTES);
    } finally {
      Security.removeProvider(decryptsFirst.getName());
    }
  }

  /** That {@code out}, filled with 0x55, holds {@code length} zeros from {@code offset} on. */
  private static void assertAreZeros(byte[] out, int offset, int length) {
    byte[] expected = new byte[out.length];
    Arrays.fill(expected, (byte) 0x55);
    Arrays.fill(expected, offset, offset + length, (byte) 0);
    assertArrayEquals(expected, out);
  }

  @Test
  void decryptingStream_whenTheSourceFails_reportsThatAndNeverReadsOn() throws IOException {
    byte[] envelope = cipher.encrypt(bytes(), ROW);
    IOException failure = new IOException("source");
    InputStream in =
        cipher.decryptingStream(failingAfter(Arrays.copyOf(envelope, 20_000), failure), ROW);
    ByteArrayOutputStream released = new ByteArrayOutputStream();

    assertSame(failure, assertThrows(IOException.class, () -> in.transferTo(released)));
    assertArrayEquals(Arrays.copyOf(bytes(), 16_384), released.toByteArray());
    assertThrows(RuntimeException.class, in::read);
    in.close();
    assertEquals(1, rig.ciphers.statistics().failures());
  }

  @Test
  void transferTo_nothing_isRefusedAndHarmsNothing() throws IOException {
    byte[] envelope = cipher.encrypt(bytes(), ROW);
    try (InputStream in = cipher.decryptingStream(new ByteArrayInputStream(envelope), ROW)) {
      assertThrows(NullPointerException.class, () -> in.transferTo(null));
      assertEquals(0, rig.ciphers.statistics().failures());
      assertEquals(LENGTH, in.transferTo(sink));
    }
    assertArrayEquals(bytes(), sink.bytes());
  }

  @ParameterizedTest
  @ValueSource(ints = {1000, LENGTH})
  void transferTo_aSinkThatClosesTheStream_stillHasItsBytes(int length) throws IOException {
    byte[] plaintext = Arrays.copyOf(bytes(), length);
    InputStream in =
        cipher.decryptingStream(new ByteArrayInputStream(cipher.encrypt(plaintext, ROW)), ROW);
    ByteArrayOutputStream received = new ByteArrayOutputStream();
    OutputStream closing =
        new OutputStream() {
          @Override
          public void write(int b) {
            throw new AssertionError("written in one piece");
          }

          @Override
          public void write(byte[] piece, int offset, int count) throws IOException {
            in.close();
            received.write(piece, offset, count);
          }
        };

    assertThrows(IOException.class, () -> in.transferTo(closing));
    assertArrayEquals(
        Arrays.copyOf(plaintext, Math.min(length, CHUNK_BYTES)), received.toByteArray());
  }

  @Test
  void decrypt_whenTruncated_throwsAfterAPrefix() throws IOException {
    byte[] envelope = cipher.encrypt(bytes(), ROW);
    byte[] cut = Arrays.copyOf(envelope, envelope.length - 1);

    assertThrows(
        DecryptionFailedException.class,
        () -> cipher.decrypt(new ByteArrayInputStream(cut), sink, ROW));
    assertArrayEquals(Arrays.copyOf(bytes(), 32_768), sink.bytes());
  }

  @Test
  void decryptingStream_withDetachedHeader_roundTrips() throws IOException {
    EnvelopeOutputStream out = cipher.encryptingBodyStream(sink, ROW);
    byte[] header = out.header();
    out.write(bytes());
    out.close();

    try (InputStream in =
        cipher.decryptingStream(header, new ByteArrayInputStream(sink.bytes()), ROW)) {
      assertArrayEquals(bytes(), in.readAllBytes());
    }
    try (SeekableByteChannel in =
        cipher.decryptingChannel(header, new ArrayChannel(sink.bytes()), ROW)) {
      assertEquals(LENGTH, in.size());
    }
    byte[] longer = Arrays.copyOf(header, header.length + 1);
    assertThrows(
        MalformedEnvelopeException.class,
        () -> cipher.decryptingStream(longer, new ByteArrayInputStream(sink.bytes()), ROW));
  }

  @Test
  void decryptingChannel_afterClose_refusesEverything() throws IOException {
    ArrayChannel source = new ArrayChannel(cipher.encrypt(bytes(), ROW));
    SeekableByteChannel in = cipher.decryptingChannel(source, ROW);
    assertTrue(in.isOpen());
    in.close();
    in.close();

    assertFalse(in.isOpen());
    assertFalse(source.isOpen());
    assertThrows(ClosedChannelException.class, () -> in.read(ByteBuffer.allocate(1)));
    assertThrows(ClosedChannelException.class, in::position);
    assertThrows(ClosedChannelException.class, () -> in.position(0));
    assertThrows(ClosedChannelException.class, in::size);
  }

  @Test
  void decryptingChannel_isReadOnlyAndKnowsItsPositions() throws IOException {
    try (SeekableByteChannel in =
        cipher.decryptingChannel(new ArrayChannel(cipher.encrypt(bytes(), ROW)), ROW)) {
      assertThrows(NonWritableChannelException.class, () -> in.write(ByteBuffer.allocate(1)));
      assertThrows(NonWritableChannelException.class, () -> in.truncate(0));
      assertThrows(IllegalArgumentException.class, () -> in.position(-1));
      assertEquals(-1, in.position(LENGTH).read(ByteBuffer.allocate(1)));
      assertEquals(0, in.position(5).read(ByteBuffer.allocate(0)));
      assertEquals(5, in.position());
    }
  }

  @Test
  void decryptingChannel_whenAChunkInTheMiddleIsBad_failsThereOnly() throws IOException {
    byte[] envelope = cipher.encrypt(bytes(), ROW);
    envelope[FIRST_CHUNK + SEALED_CHUNK_BYTES + 100] ^= 1;
    try (SeekableByteChannel in = cipher.decryptingChannel(new ArrayChannel(envelope), ROW)) {
      ByteBuffer first = ByteBuffer.allocate(16_384);
      assertEquals(16_384, in.read(first));
      for (int attempt = 0; attempt < 2; attempt++) {
        assertThrows(
            DecryptionFailedException.class,
            () -> in.position(16_384).read(ByteBuffer.allocate(1)));
      }
      ByteBuffer last = ByteBuffer.allocate(100);
      assertEquals(100, in.position(LENGTH - 100).read(last));
      assertArrayEquals(Arrays.copyOfRange(bytes(), LENGTH - 100, LENGTH), last.array());
      assertEquals(16_384, in.position(0).read(first.clear()));
      assertArrayEquals(Arrays.copyOf(bytes(), 16_384), first.array());
    }
  }

  @Test
  void decryptingChannel_whenTheFileIsCutAfterOpening_fails() throws IOException {
    ArrayChannel source = new ArrayChannel(cipher.encrypt(bytes(), ROW));
    try (SeekableByteChannel in = cipher.decryptingChannel(source, ROW)) {
      source.truncate(10_000);
      assertThrows(DecryptionFailedException.class, () -> in.read(ByteBuffer.allocate(1)));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 55, 56, 71})
  void decryptingChannel_whenTheFileIsCutWhileItIsOpened_isMalformed(int body) throws IOException {
    byte[] envelope = cipher.encrypt(bytes(), ROW);
    int start = EnvelopeInfo.inspect(envelope).headerLengthBytes();
    ArrayChannel source =
        new ArrayChannel(Arrays.copyOf(envelope, start + body), envelope.length - start - body);
    if (body < 56) {
      MalformedEnvelopeException e =
          assertThrows(
              MalformedEnvelopeException.class, () -> cipher.decryptingChannel(source, ROW));
      assertEquals("body", e.field());
    } else {
      assertThrows(DecryptionFailedException.class, () -> cipher.decryptingChannel(source, ROW));
    }
  }

  /**
   * Cites ENV-1, ENV-2, ENV-3, ENV-4: what stands before the name is judged before more is read.
   */
  @ParameterizedTest
  @CsvSource({
    "magic, 0, 88", "format version, 3, 2", "suite, 4, 3",
    "keyset name length, 5, 0", "keyset name length, 5, 65", "keyset name length, 5, 200"
  })
  void decryptingStream_wrongAtItsStart_isRefusedWithoutReadingOn(
      String field, int position, int value) throws IOException {
    byte[] start = Arrays.copyOf(cipher.encrypt(bytes(), ROW), 6);
    start[position] = (byte) value;
    for (boolean reencrypting : new boolean[] {false, true}) {
      InputStream source = failingAfter(start, new IOException("read on"));
      MalformedEnvelopeException e =
          assertThrows(
              MalformedEnvelopeException.class,
              () -> {
                if (reencrypting) {
                  cipher.reencrypt(source, OutputStream.nullOutputStream(), ROW);
                } else {
                  cipher.decryptingStream(source, ROW).close();
                }
              });
      assertEquals(field, e.field());
      assertEquals(position, e.offset());
    }
  }

  @Test
  void decryptingChannel_inOnePass_fillsAnyBuffer() throws IOException {
    for (int length : new int[] {10, LENGTH}) {
      byte[] plaintext = EnvelopeCipherTest.bytes(length);
      byte[] envelope = cipher.encrypt(plaintext, ROW);
      for (ByteBuffer out :
          List.of(
              ByteBuffer.allocate(7_001),
              ByteBuffer.allocateDirect(40_000),
              ByteBuffer.allocate(50_000).position(9).slice())) {
        ByteArrayOutputStream read = new ByteArrayOutputStream();
        try (ReadableByteChannel in =
            cipher.decryptingChannel((ReadableByteChannel) new ArrayChannel(envelope), ROW)) {
          assertEquals(0, in.read(ByteBuffer.allocate(0)));
          assertThrows(
              IllegalArgumentException.class,
              () -> in.read(ByteBuffer.allocate(10).asReadOnlyBuffer()));
          for (out.clear(); in.read(out) >= 0; out.clear()) {
            byte[] part = new byte[out.flip().remaining()];
            out.get(part);
            read.write(part);
          }
          assertTrue(in.isOpen());
          in.close();
          assertFalse(in.isOpen());
          assertThrows(ClosedChannelException.class, () -> in.read(ByteBuffer.allocate(1)));
        }
        assertArrayEquals(plaintext, read.toByteArray());
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {10, LENGTH})
  void transferTo_leavesNoPlaintextInTheArrayItLent(int length) throws IOException {
    byte[] envelope = cipher.encrypt(EnvelopeCipherTest.bytes(length), ROW);
    List<byte[]> lent = new ArrayList<>();
    OutputStream sink =
        new OutputStream() {
          @Override
          public void write(byte[] bytes, int offset, int count) {
            lent.add(bytes);
          }

          @Override
          public void write(int b) {
            throw new AssertionError("a byte alone");
          }
        };
    try (InputStream in = cipher.decryptingStream(new ByteArrayInputStream(envelope), ROW)) {
      assertEquals(length, in.transferTo(sink));
    }
    assertFalse(lent.isEmpty());
    lent.forEach(array -> assertArrayEquals(new byte[array.length], array));
  }

  @Test
  void rewrap_inPlace_readsNothingBehindTheHeader() throws IOException {
    byte[] envelope = cipher.encrypt(bytes(), ROW);
    ArrayChannel file = new ArrayChannel(envelope);
    rig.verbs().rotate(EnvelopeRig.NAME);
    cipher.rewrap(file);
    assertEquals(EnvelopeInfo.inspect(envelope).headerLengthBytes(), file.bytesRead());
  }

  @Test
  void rewrap_inPlace_changesTheHeaderOnlyAndKeepsThePosition() throws IOException {
    byte[] envelope = cipher.encrypt(bytes(), ROW);
    ArrayChannel file = new ArrayChannel(envelope);
    file.position(17);
    rig.verbs().rotate(EnvelopeRig.NAME);
    cipher.rewrap(file);

    assertEquals(17, file.position());
    byte[] moved = file.content();
    assertEquals(2, EnvelopeInfo.inspect(moved).keyVersion());
    assertEquals(envelope.length, moved.length);
    assertArrayEquals(
        Arrays.copyOfRange(envelope, 56, envelope.length),
        Arrays.copyOfRange(moved, 56, moved.length));
    assertArrayEquals(bytes(), cipher.decrypt(moved, ROW));
  }

  private static byte[] bytes() {
    return EnvelopeCipherTest.bytes(LENGTH);
  }

  private static InputStream failingAfter(int good, IOException failure) {
    return failingAfter(EnvelopeCipherTest.bytes(good), failure);
  }

  private static InputStream failingAfter(byte[] good, IOException failure) {
    return new java.io.SequenceInputStream(
        new ByteArrayInputStream(good),
        new InputStream() {
          @Override
          public int read() throws IOException {
            throw failure;
          }
        });
  }

  /** A sink with little room that counts its closes. */
  private static final class Sink extends FilterOutputStream {
    private int room = Integer.MAX_VALUE;
    private int closed;

    Sink() {
      super(new ByteArrayOutputStream());
    }

    byte[] bytes() {
      return ((ByteArrayOutputStream) out).toByteArray();
    }

    @Override
    public void write(byte[] bytes, int offset, int length) throws IOException {
      int part = Math.min(length, room);
      out.write(bytes, offset, part);
      room -= part;
      if (part < length) {
        throw new IOException("no space left");
      }
    }

    @Override
    public void close() {
      closed++;
    }
  }
}
