package dev.sealwax.kms.envelope;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.testkit.FaultyRootKey.Fault;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import dev.sealwax.kms.vocabulary.KmsEvent;
import dev.sealwax.kms.vocabulary.KmsEvent.Operation;
import dev.sealwax.kms.vocabulary.KmsEvent.Outcome;
import dev.sealwax.kms.vocabulary.MalformedEnvelopeException;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What listener and statistics are told of an operation: once, and how it really ended. */
@SuppressWarnings("InputStreamSlowMultibyteRead") // a source that fails need not be fast
final class EnvelopeReportsTest {
  private static final EncryptionContext ROW = EncryptionContext.of("row", "42");
  private static final int LONG = 70_000;
  private static final int CHUNK = 16 * 1024;

  private final List<KmsEvent> heard = new ArrayList<>();
  private final EnvelopeRig rig =
      EnvelopeRig.create(
          DataKeyPolicy.defaults(), EnvelopeRig.LONG, Runnable::run, this::hearEnvelopes);
  private final EnvelopeCipher cipher = rig.cipher();

  /** Whichever is no preparation of the test at hand. */
  private Operation told = Operation.DECRYPT;

  private void hearEnvelopes(KmsEvent event) {
    if (event.operation() == told
        || event.operation() == Operation.REWRAP
        || event.operation() == Operation.REENCRYPT) {
      heard.add(event);
    }
  }

  @AfterEach
  void close() {
    rig.close();
  }

  private KmsEvent only() {
    assertEquals(1, heard.size(), () -> "heard " + heard);
    return heard.get(0);
  }

  private void assertHeard(Operation operation, Exception failure) {
    assertEquals(operation, only().operation());
    assertSame(failure, only().failure());
    assertEquals(1, rig.ciphers.statistics().failures());
  }

  private void assertAbandoned(Operation operation, long bytes) {
    assertEquals(operation, only().operation());
    assertEquals(Outcome.ABANDONED, only().outcome());
    assertFalse(only().isSuccess());
    assertNull(only().failure());
    assertEquals(bytes, only().bytes());
    assertEquals(1, only().keyVersion());
    EnvelopeStatistics statistics = rig.ciphers.statistics();
    assertEquals(1, statistics.abandoned());
    assertEquals(0, statistics.failures());
    assertEquals(0, statistics.messagesDecrypted());
  }

  private static void readFrom(SeekableByteChannel channel, long position, int length)
      throws IOException {
    channel.position(position);
    channel.read(ByteBuffer.allocate(length));
  }

  // --- what fails at the very end ---

  @Test
  void encryptingStream_sinkFailsWhenClosed_isNoSuccess() {
    told = Operation.ENCRYPT;
    IOException full = new IOException("disk full");
    OutputStream sink =
        new ByteArrayOutputStream() {
          @Override
          public void close() throws IOException {
            throw full;
          }
        };
    EnvelopeOutputStream out = cipher.encryptingStream(sink, ROW);
    assertSame(full, assertThrows(IOException.class, out::close));
    assertHeard(Operation.ENCRYPT, full);
    assertEquals(0, rig.ciphers.statistics().messagesEncrypted());
  }

  @Test
  void rewrapInPlace_channelFailsAfterwards_isToldOnce() {
    byte[] envelope = cipher.encrypt(new byte[10], ROW);
    IOException gone = new IOException("scripted");
    int[] positions = {0};
    ArrayChannel array = new ArrayChannel(envelope);
    SeekableByteChannel channel =
        (SeekableByteChannel)
            Proxy.newProxyInstance(
                SeekableByteChannel.class.getClassLoader(),
                new Class<?>[] {SeekableByteChannel.class},
                (proxy, method, arguments) -> {
                  // To read, and to go back.
                  if (method.getName().equals("position")
                      && arguments != null
                      && ++positions[0] == 2) {
                    throw gone;
                  }
                  return method.invoke(array, arguments);
                });
    assertSame(gone, assertThrows(IOException.class, () -> cipher.rewrap(channel)));
    assertHeard(Operation.REWRAP, gone);
    assertEquals(0, rig.ciphers.statistics().headersRewrapped());
  }

  // --- random access ---

  @Test
  void channel_isReportedOnClose_withWhatWasRead() throws IOException {
    SeekableByteChannel channel =
        cipher.decryptingChannel(new ArrayChannel(cipher.encrypt(new byte[LONG], ROW)), ROW);
    readFrom(channel, 20_000, 30);
    readFrom(channel, LONG - 5, 30);
    assertTrue(heard.isEmpty());
    assertEquals(0, rig.ciphers.statistics().messagesDecrypted());
    channel.close();
    channel.close();

    assertEquals(35, only().bytes());
    assertTrue(only().isSuccess());
    assertEquals(1, only().keyVersion());
    assertEquals(1, rig.ciphers.statistics().messagesDecrypted());
    assertEquals(35, rig.ciphers.statistics().bytesDecrypted());
    assertEquals(0, rig.ciphers.statistics().failures());
  }

  @Test
  void channel_thatMeetsTampering_reportsItOnce() throws IOException {
    byte[] envelope = cipher.encrypt(new byte[LONG], ROW);
    envelope[EnvelopeInfo.inspect(envelope).headerLengthBytes() + 20_000] ^= 1;
    SeekableByteChannel channel = cipher.decryptingChannel(new ArrayChannel(envelope), ROW);
    readFrom(channel, 0, 10);
    DecryptionFailedException failure =
        assertThrows(DecryptionFailedException.class, () -> readFrom(channel, 17_000, 10));
    assertThrows(DecryptionFailedException.class, () -> readFrom(channel, 17_000, 10));
    channel.close();

    assertHeard(Operation.DECRYPT, failure);
    assertEquals(0, rig.ciphers.statistics().messagesDecrypted());
  }

  @Test
  void channel_whoseSourceFails_reportsIt() throws IOException {
    ArrayChannel source = new ArrayChannel(cipher.encrypt(new byte[LONG], ROW));
    SeekableByteChannel channel = cipher.decryptingChannel(source, ROW);
    source.close();
    IOException failure = assertThrows(IOException.class, () -> readFrom(channel, 0, 10));
    channel.close();

    assertSame(failure, only().failure());
    assertEquals(1, rig.ciphers.statistics().failures());
  }

  @Test
  void channel_tamperedWithAtItsEnd_reportsItOnOpening() {
    byte[] envelope = cipher.encrypt(new byte[LONG], ROW);
    envelope[envelope.length - 1] ^= 1;

    assertHeard(
        Operation.DECRYPT,
        assertThrows(
            DecryptionFailedException.class,
            () -> cipher.decryptingChannel(new ArrayChannel(envelope), ROW)));
  }

  /** The other form is part of the operation, so its time is part of the event's. */
  @Test
  void otherForms_takeTimeThatIsReported() {
    String text = "swx1." + "A".repeat(16 << 20);
    assertTakesItsTime(
        Operation.DECRYPT,
        () -> assertThrows(MalformedEnvelopeException.class, () -> cipher.decryptText(text, ROW)));
    assertTakesItsTime(
        Operation.REWRAP,
        () -> assertThrows(MalformedEnvelopeException.class, () -> cipher.rewrapText(text)));
  }

  /**
   * Nearly all of it, in one of many attempts: another process may take the processor in between.
   * The first ones show nothing, because encryption that is not compiled takes nearly all by
   * itself.
   */
  private void assertTakesItsTime(Operation operation, Runnable call) {
    told = operation;
    List<String> tried = new ArrayList<>();
    for (int i = 0; i < 50; i++) {
      heard.clear();
      long start = System.nanoTime();
      call.run();
      long nanos = System.nanoTime() - start;
      if (only().duration().toNanos() > nanos * 0.9) {
        return;
      }
      tried.add(only().duration() + " of " + nanos + " ns");
    }
    throw new AssertionError(operation + ": " + tried);
  }

  @Test
  void cacheResult_isToldOfEveryWayToDecrypt() throws IOException {
    for (int length : new int[] {10, LONG}) {
      byte[] envelope = cipher.encrypt(new byte[length], ROW);
      rig.ciphers.discardDataKeys();
      heard.clear();
      cipher.decrypt(envelope, ROW);
      cipher.decrypt(envelope, ROW);
      cipher.decrypt(envelope, ROW); // by the key at hand
      cipher.decryptingStream(new ByteArrayInputStream(envelope), ROW).readAllBytes();
      cipher.decryptingChannel(new ArrayChannel(envelope), ROW).close();
      rig.ciphers.discardDataKeys();
      cipher.decryptingStream(new ByteArrayInputStream(envelope), ROW).readAllBytes();
      rig.ciphers.discardDataKeys();
      cipher.decryptingChannel(new ArrayChannel(envelope), ROW).close();
      assertEquals(
          List.of("MISS 1", "HIT 1", "HIT 1", "HIT 1", "HIT 1", "MISS 1", "MISS 1"),
          heard.stream().map(event -> event.cache() + " " + event.keyVersion()).toList());
    }
  }

  @Test
  void envelopeOfAnotherKeyset_hasNoVersionOfThisOne() {
    rig.verbs().create("others", KeysetTemplate.defaults());
    byte[] foreign = rig.cipher("others").encrypt(new byte[1], ROW);
    heard.clear();
    assertThrows(KeyUnavailableException.class, () -> cipher.decrypt(foreign, ROW));
    assertEquals(0, only().keyVersion());
  }

  // --- streams ---

  @ParameterizedTest
  @ValueSource(ints = {0, 3, 50, 100, 130, 200})
  void stream_whoseSourceFailsAtItsStart_reportsIt(int good) {
    byte[] envelope = Arrays.copyOf(cipher.encrypt(new byte[LONG], ROW), good);
    IOException failure = new IOException("source");
    InputStream source =
        new InputStream() {
          private final InputStream start = new ByteArrayInputStream(envelope);

          @Override
          public int read() throws IOException {
            int next = start.read();
            if (next < 0) {
              throw failure;
            }
            return next;
          }
        };

    assertSame(
        failure, assertThrows(IOException.class, () -> cipher.decryptingStream(source, ROW)));
    assertSame(failure, only().failure());
    assertEquals(1, rig.ciphers.statistics().failures());
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 20_000, 3 * CHUNK})
  void decryptingStream_closedBeforeItsEnd_isAbandonedOnce(int read) throws IOException {
    // The end of a message of whole chunks is an empty chunk, which nobody has asked for here.
    byte[] envelope = cipher.encrypt(new byte[3 * CHUNK], ROW);
    InputStream in = cipher.decryptingStream(new ByteArrayInputStream(envelope), ROW);
    assertEquals(read, in.readNBytes(read).length);
    assertTrue(heard.isEmpty());
    in.close();
    in.close();

    assertAbandoned(Operation.DECRYPT, read);
  }

  @Test
  void decryptingStream_readInWholeChunks_countsThemAll() throws IOException {
    byte[] envelope = cipher.encrypt(new byte[3 * CHUNK], ROW);
    byte[] buffer = new byte[2 * CHUNK];
    InputStream abandoned = cipher.decryptingStream(new ByteArrayInputStream(envelope), ROW);
    assertEquals(CHUNK, abandoned.read(buffer));
    assertEquals(0, abandoned.available());
    assertEquals(5, abandoned.read(buffer, 0, 5));
    assertEquals(CHUNK - 5, abandoned.read(buffer));
    abandoned.close();
    assertThrows(IOException.class, () -> abandoned.read(buffer));
    assertAbandoned(Operation.DECRYPT, 2L * CHUNK);

    heard.clear();
    try (InputStream in = cipher.decryptingStream(new ByteArrayInputStream(envelope), ROW)) {
      for (int i = 0; i < 3; i++) {
        assertEquals(CHUNK, in.read(buffer));
      }
      assertEquals(-1, in.read(buffer));
      assertEquals(-1, in.read(buffer));
    }
    assertEquals(Outcome.SUCCESS, only().outcome());
    assertEquals(3L * CHUNK, only().bytes());
  }

  @Test
  void decryptingStream_whoseEndWasAuthenticated_isASuccessWhateverWasRead() throws IOException {
    byte[] envelope = cipher.encrypt(new byte[LONG], ROW);
    try (InputStream in = cipher.decryptingStream(new ByteArrayInputStream(envelope), ROW)) {
      assertEquals(LONG - 1, in.readNBytes(LONG - 1).length);
    }

    assertEquals(Outcome.SUCCESS, only().outcome());
    assertEquals(LONG, only().bytes());
    assertEquals(0, rig.ciphers.statistics().abandoned());
    assertEquals(1, rig.ciphers.statistics().messagesDecrypted());
  }

  @Test
  void decryptingStream_closedAfterAFailure_reportsTheFailureAlone() throws IOException {
    byte[] envelope = cipher.encrypt(new byte[LONG], ROW);
    envelope[envelope.length - 1] ^= 1;
    DecryptionFailedException failure;
    try (InputStream in = cipher.decryptingStream(new ByteArrayInputStream(envelope), ROW)) {
      failure = assertThrows(DecryptionFailedException.class, in::readAllBytes);
    }

    assertHeard(Operation.DECRYPT, failure);
    assertEquals(0, rig.ciphers.statistics().abandoned());
  }

  @Test
  void decrypt_toASinkThatFails_isAFailure() {
    IOException failure = new IOException("sink");
    InputStream source = new ByteArrayInputStream(cipher.encrypt(new byte[LONG], ROW));
    assertSame(
        failure,
        assertThrows(
            IOException.class, () -> cipher.decrypt(source, failingAfter(20_000, failure), ROW)));

    assertHeard(Operation.DECRYPT, failure);
    assertEquals(0, rig.ciphers.statistics().abandoned());
  }

  private static OutputStream failingAfter(int good, IOException failure) {
    return new OutputStream() {
      private int written;

      @Override
      public void write(int b) throws IOException {
        if (written++ == good) {
          throw failure;
        }
      }
    };
  }

  @Test
  void encryptingStream_aborted_isAbandonedOnce() throws IOException {
    told = Operation.ENCRYPT;
    EnvelopeOutputStream out = cipher.encryptingStream(new ByteArrayOutputStream(), ROW);
    out.write(new byte[20_000]);
    out.abort();
    out.close();

    assertAbandoned(Operation.ENCRYPT, 0);
  }

  @Test
  void encryptingStream_whoseSinkFails_reportsWhatItThrew() throws IOException {
    told = Operation.ENCRYPT;
    IOException failure = new IOException("sink");
    EnvelopeOutputStream out = cipher.encryptingStream(failingAfter(300, failure), ROW);
    assertSame(failure, assertThrows(IOException.class, () -> out.write(new byte[20_000])));
    out.close();

    assertHeard(Operation.ENCRYPT, failure);
    assertEquals(0, rig.ciphers.statistics().abandoned());
  }

  @Test
  void pullingStream_closedBeforeItsEnd_isAbandonedOnce() throws IOException {
    told = Operation.ENCRYPT;
    InputStream in = cipher.encryptingStream(new ByteArrayInputStream(new byte[LONG]), ROW);
    assertEquals(20_000, in.readNBytes(20_000).length);
    in.close();
    in.close();

    assertAbandoned(Operation.ENCRYPT, 0);
  }

  @Test
  void pullingStream_whoseSourceFails_reportsWhatItThrew() throws IOException {
    told = Operation.ENCRYPT;
    IOException failure = new IOException("source");
    InputStream source =
        new InputStream() {
          @Override
          public int read() throws IOException {
            throw failure;
          }
        };
    try (InputStream in = cipher.encryptingStream(source, ROW)) {
      assertSame(failure, assertThrows(IOException.class, in::readAllBytes));
    }

    assertHeard(Operation.ENCRYPT, failure);
    assertEquals(0, rig.ciphers.statistics().abandoned());
  }

  /** An Error is no failure of a key, but the operation has ended by it. */
  @Test
  void error_inTheMiddleOfAStream_isToldAndLeavesNothingToRead() throws IOException {
    StackOverflowError error = new StackOverflowError("scripted");
    byte[] envelope = cipher.encrypt(new byte[LONG], ROW);
    InputStream source =
        new FilterInputStream(new ByteArrayInputStream(envelope)) {
          @Override
          public int readNBytes(byte[] into, int offset, int length) throws IOException {
            if (in.available() < 30_000) {
              throw error;
            }
            return super.readNBytes(into, offset, length);
          }
        };
    try (InputStream in = cipher.decryptingStream(source, ROW)) {
      assertSame(error, assertThrows(StackOverflowError.class, in::readAllBytes));
      assertSame(error, assertThrows(IllegalStateException.class, in::read).getCause());
    }

    assertEquals(Outcome.FAILURE, only().outcome());
    assertSame(error, only().failure());
  }

  @Test
  void channel_whoseSourceFailsAtItsStart_reportsIt() {
    ArrayChannel source = new ArrayChannel(new byte[0]);
    source.close();
    IOException failure =
        assertThrows(IOException.class, () -> cipher.decryptingChannel(source, ROW));

    assertSame(failure, only().failure());
    assertEquals(1, rig.ciphers.statistics().failures());
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 10, LONG})
  void decryptingStream_afterClose_hasNoMorePlaintext(int length) throws IOException {
    InputStream in =
        cipher.decryptingStream(
            new ByteArrayInputStream(cipher.encrypt(new byte[length], ROW)), ROW);
    if (length > 0) {
      assertEquals(0, in.read());
    }
    in.close();

    assertThrows(IOException.class, in::read);
    assertThrows(IOException.class, () -> in.read(new byte[5]));
    assertThrows(IOException.class, in::readAllBytes);
  }

  @Test
  void decryptingStream_ofAShortMessage_readsAsAnyOther() throws IOException {
    byte[] message = {1, 2, -3, 4, 5};
    byte[] envelope = cipher.encrypt(message, ROW);
    try (InputStream in = cipher.decryptingStream(new ByteArrayInputStream(envelope), ROW)) {
      assertEquals(5, in.available());
      assertEquals(1, in.read());
      byte[] rest = new byte[9];
      assertEquals(0, in.read(rest, 0, 0));
      assertEquals(2, in.read(rest, 1, 2));
      assertEquals(2, in.read(rest, 3, 6));
      assertArrayEquals(new byte[] {0, 2, -3, 4, 5, 0, 0, 0, 0}, rest);
      assertEquals(-1, in.read());
      assertEquals(-1, in.read(rest));
      assertEquals(0, in.read(rest, 0, 0));
      assertThrows(IndexOutOfBoundsException.class, () -> in.read(rest, 8, 2));
    }
  }

  // --- rewrap and reencrypt ---

  @Test
  void reencrypt_isOneOperation_asLongAsBothItsHalves() {
    EnvelopeRig asking =
        EnvelopeRig.create(
            DataKeyPolicy.defaults(), CachePolicy.none(), Runnable::run, this::hearEnvelopes);
    try (asking) {
      byte[] envelope = asking.cipher().encrypt(new byte[10], ROW);
      asking.verbs().rotate(EnvelopeRig.NAME);
      // The first call of the root key is the one that opens.
      asking.root.next(Fault.delaying(Duration.ofMillis(60)));
      asking.cipher().reencrypt(envelope, ROW);
    }

    assertEquals(Operation.REENCRYPT, only().operation());
    assertEquals(2, only().keyVersion());
    assertEquals(10, only().bytes());
    assertTrue(only().duration().toMillis() >= 60, () -> "took " + only().duration());
  }

  @Test
  void reencrypt_ofWhatDoesNotOpen_isReportedOnce() {
    byte[] envelope = cipher.encrypt(new byte[10], ROW);

    assertHeard(
        Operation.REENCRYPT,
        assertThrows(
            DecryptionFailedException.class,
            () -> cipher.reencrypt(envelope, EncryptionContext.empty())));
  }

  @Test
  void rewrapText_ofWhatIsNoText_isReported() {
    assertHeard(
        Operation.REWRAP,
        assertThrows(MalformedEnvelopeException.class, () -> cipher.rewrapText("swx1.!")));
  }

  @ParameterizedTest
  @ValueSource(ints = {10, LONG})
  void rewrap_ofAnEnvelopeWhoseBodyWasCutOff_isRefused(int length) {
    byte[] envelope = cipher.encrypt(new byte[length], ROW);
    int headerLength = EnvelopeInfo.inspect(envelope).headerLengthBytes();
    int shortest = length == 10 ? EnvelopeHeader.ONE_SHOT_MIN_BODY : ChunkedBody.MIN_BYTES;
    byte[] cut = Arrays.copyOf(envelope, headerLength + shortest - 1);
    MalformedEnvelopeException failure =
        assertThrows(MalformedEnvelopeException.class, () -> cipher.rewrap(cut));
    assertEquals("body", failure.field());
    assertHeard(Operation.REWRAP, failure);
    assertThrows(MalformedEnvelopeException.class, () -> cipher.rewrapText(TextForm.encode(cut)));
    assertThrows(MalformedEnvelopeException.class, () -> cipher.rewrap(new ArrayChannel(cut)));

    assertEquals(headerLength, cipher.rewrapHeader(cut).length);
    assertEquals(1, rig.ciphers.statistics().headersRewrapped());
  }

  @Test
  void rewrapInPlace_thatCannotWrite_isReportedAsAFailureAlone() {
    byte[] envelope = cipher.encrypt(new byte[10], ROW);
    rig.verbs().rotate(EnvelopeRig.NAME);
    IOException failure = new IOException("sink");
    ArrayChannel file = new ArrayChannel(envelope);
    SeekableByteChannel channel =
        (SeekableByteChannel)
            Proxy.newProxyInstance(
                getClass().getClassLoader(),
                new Class<?>[] {SeekableByteChannel.class},
                (proxy, method, arguments) -> {
                  if (method.getName().equals("write")) {
                    throw failure;
                  }
                  return method.invoke(file, arguments);
                });

    assertSame(failure, assertThrows(IOException.class, () -> cipher.rewrap(channel)));
    assertSame(failure, only().failure());
    assertEquals(0, rig.ciphers.statistics().headersRewrapped());
  }

  @Test
  void warmUp_isToldAsWhatItIs() {
    cipher.warmUp();
    assertEquals(2, heard.size());
    assertEquals(2, rig.ciphers.statistics().messagesEncrypted());
  }
}
