package dev.sealwax.kms.envelope;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KmsEvent;
import dev.sealwax.kms.vocabulary.KmsEvent.Operation;
import dev.sealwax.kms.vocabulary.MalformedEnvelopeException;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What streams and channels close, pass on and count when everything goes well. */
final class EnvelopeResourcesTest {
  private static final EncryptionContext ROW = EncryptionContext.of("row", "42");
  private static final int CHUNK = 16 * 1024;

  private final List<KmsEvent> heard = new ArrayList<>();
  private final EnvelopeRig rig =
      EnvelopeRig.create(DataKeyPolicy.defaults(), EnvelopeRig.LONG, Runnable::run, heard::add);
  private final EnvelopeCipher cipher = rig.cipher();

  @AfterEach
  void close() {
    rig.close();
  }

  private void assertToldOnce(Operation operation, long bytes) {
    List<KmsEvent> told = heard.stream().filter(event -> event.operation() == operation).toList();
    assertEquals(1, told.size(), heard::toString);
    assertTrue(told.get(0).isSuccess());
    assertEquals(bytes, told.get(0).bytes());
  }

  private void assertFailureTold(Operation operation) {
    assertEquals(
        1,
        heard.stream()
            .filter(event -> event.operation() == operation && event.failure() != null)
            .count(),
        heard::toString);
  }

  // --- counts ---

  @ParameterizedTest
  @ValueSource(ints = {0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5})
  void encryptingStream_tellsThePlaintextBytes(int length) throws IOException {
    try (EnvelopeOutputStream out = cipher.encryptingStream(new ByteArrayOutputStream(), ROW)) {
      out.write(new byte[length]);
    }

    assertToldOnce(Operation.ENCRYPT, length);
    assertEquals(length, rig.ciphers.statistics().bytesEncrypted());
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5})
  void encryptingStream_thatIsPulled_tellsThePlaintextBytes(int length) throws IOException {
    try (InputStream in =
        cipher.encryptingStream(new ByteArrayInputStream(new byte[length]), ROW)) {
      in.readAllBytes();
    }

    assertToldOnce(Operation.ENCRYPT, length);
    assertEquals(length, rig.ciphers.statistics().bytesEncrypted());
  }

  @ParameterizedTest
  @ValueSource(ints = {10, 3 * CHUNK + 5})
  void decrypting_isToldHoweverItIsRead(int length) throws IOException {
    byte[] envelope = cipher.encrypt(new byte[length], ROW);
    try (InputStream in = cipher.decryptingStream(new ByteArrayInputStream(envelope), ROW)) {
      in.readAllBytes();
    }
    assertToldOnce(Operation.DECRYPT, length);

    heard.clear();
    try (SeekableByteChannel in = cipher.decryptingChannel(new ArrayChannel(envelope), ROW)) {
      while (in.read(ByteBuffer.allocate(1000)) > 0) {
        // To its end.
      }
    }
    assertToldOnce(Operation.DECRYPT, length);
  }

  @Test
  void bytes_ofBothSuites_addUp() {
    byte[] small = cipher.encrypt(new byte[100], ROW);
    byte[] large = cipher.encrypt(new byte[50_000], ROW);
    cipher.decrypt(small, ROW);
    cipher.decrypt(large, ROW);

    assertEquals(50_100, rig.ciphers.statistics().bytesEncrypted());
    assertEquals(50_100, rig.ciphers.statistics().bytesDecrypted());
  }

  @Test
  void malformedText_isToldAndCounted() {
    assertThrows(MalformedEnvelopeException.class, () -> cipher.decryptText("no text", ROW));
    assertFailureTold(Operation.DECRYPT);
    assertEquals(1, rig.ciphers.statistics().failures());
  }

  @Test
  void malformedHeader_ofASplitEnvelope_isToldAndCounted() {
    SplitEnvelope split = SplitEnvelope.of(new byte[20], new byte[100]);

    assertThrows(MalformedEnvelopeException.class, () -> cipher.decryptSplit(split, ROW));
    assertFailureTold(Operation.DECRYPT);
    assertEquals(1, rig.ciphers.statistics().failures());
  }

  // --- what is passed on ---

  private static final class Source extends ByteArrayInputStream {
    private int closed;

    private Source(byte[] bytes) {
      super(bytes);
    }

    @Override
    public void close() {
      closed++;
    }
  }

  private static final class Sink extends ByteArrayOutputStream {
    private int flushed;
    private int closed;

    @Override
    public void flush() {
      flushed++;
    }

    @Override
    public void close() {
      closed++;
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {10, 3 * CHUNK + 5})
  void closingAStream_closesItsSource(int length) throws IOException {
    Source envelope = new Source(cipher.encrypt(new byte[length], ROW));
    cipher.decryptingStream(envelope, ROW).close();
    assertEquals(1, envelope.closed);

    Source plaintext = new Source(new byte[length]);
    cipher.encryptingStream(plaintext, ROW).close();
    assertEquals(1, plaintext.closed);
  }

  @Test
  void flush_reachesTheSinkWhileTheStreamIsOpen() throws IOException {
    Sink sink = new Sink();
    EnvelopeOutputStream out = cipher.encryptingStream(sink, ROW);
    out.flush();
    assertEquals(1, sink.flushed);

    out.close();
    int before = sink.flushed;
    out.flush();
    assertEquals(before, sink.flushed);
  }

  @Test
  void encrypt_fromStreamToStream_flushesTheSinkAndLeavesItOpen() throws IOException {
    Sink sink = new Sink();
    cipher.encrypt(new ByteArrayInputStream(new byte[10]), sink, ROW);

    assertEquals(1, sink.flushed);
    assertEquals(0, sink.closed);
  }

  @Test
  void decryptingChannel_ofAReadableChannel_reads() throws IOException {
    byte[] plaintext = new byte[3 * CHUNK + 5];
    Arrays.fill(plaintext, (byte) 7);
    byte[] envelope = cipher.encrypt(plaintext, ROW);
    ReadableByteChannel source = Channels.newChannel(new ByteArrayInputStream(envelope));

    ReadableByteChannel channel = cipher.decryptingChannel(source, ROW);
    assertArrayEquals(plaintext, Channels.newInputStream(channel).readAllBytes());
    channel.close();
    assertFalse(source.isOpen());
  }

  @Test
  void decryptingChannel_afterClose_refusesToReadOfNothingToo() throws IOException {
    SeekableByteChannel channel =
        cipher.decryptingChannel(new ArrayChannel(cipher.encrypt(new byte[10], ROW)), ROW);
    channel.close();

    assertThrows(ClosedChannelException.class, () -> channel.read(ByteBuffer.allocate(0)));
  }

  @Test
  void cipher_saysWhoseItIs() {
    assertEquals(KeysetId.of(EnvelopeRig.NAME), cipher.keyset());
    assertTrue(cipher.toString().contains(EnvelopeRig.NAME), cipher::toString);
  }

  // --- where an envelope breaks off ---

  /** The layout of envelope-v1.md, for a keyset name of six bytes. */
  @Test
  void header_thatBreaksOff_namesTheFieldItsPlaceAndWhatIsThere() {
    byte[] header =
        Arrays.copyOf(cipher.encrypt(new byte[0], ROW), EnvelopeHeader.lengthFor(cipher.keyset()));
    for (int length = 0; length < header.length; length++) {
      byte[] cut = Arrays.copyOf(header, length);
      var failure = assertThrows(MalformedEnvelopeException.class, () -> EnvelopeHeader.parse(cut));
      String field;
      int position;
      int bytes;
      if (length < 3) {
        field = "magic";
        position = 0;
        bytes = 3;
      } else if (length < 4) {
        field = "format version";
        position = 3;
        bytes = 1;
      } else if (length < 5) {
        field = "suite";
        position = 4;
        bytes = 1;
      } else if (length < 6) {
        field = "keyset name length";
        position = 5;
        bytes = 1;
      } else if (length < 12) {
        field = "keyset name";
        position = 6;
        bytes = 6;
      } else if (length < 16) {
        field = "key version";
        position = 12;
        bytes = 4;
      } else if (length < 56) {
        field = "wrapped data key";
        position = 16;
        bytes = 40;
      } else {
        field = "commitment";
        position = 56;
        bytes = 32;
      }
      assertEquals(field, failure.field(), "cut to " + length);
      String message = String.valueOf(failure.getMessage());
      assertTrue(message.contains("at offset " + position), message);
      assertTrue(
          message.contains(
              "needs " + bytes + " bytes, the input ends after " + (length - position)),
          message);
    }
  }

  @Test
  void keyVersionZero_isNamedWithItsPlace() {
    byte[] header = cipher.encrypt(new byte[0], ROW);
    Arrays.fill(header, 12, 16, (byte) 0);

    var failure =
        assertThrows(MalformedEnvelopeException.class, () -> EnvelopeHeader.parse(header));
    assertEquals("key version", failure.field());
    assertTrue(String.valueOf(failure.getMessage()).contains("at offset 12"), failure.getMessage());
  }

  @Test
  void textWhereBytesAreExpected_isRecognised() {
    for (String text : List.of("swx1.", cipher.encryptToText(new byte[3], ROW))) {
      byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
      var failure =
          assertThrows(MalformedEnvelopeException.class, () -> cipher.decrypt(bytes, ROW));
      assertTrue(
          String.valueOf(failure.getMessage()).contains("use decryptText"), failure.getMessage());
    }
  }
}
