package dev.sealwax.kms.envelope;

import dev.sealwax.kms.crypto.ChunkCipher;
import dev.sealwax.kms.events.Announcer;
import dev.sealwax.kms.keyset.Keyset;
import dev.sealwax.kms.keyset.OpenKeyset;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KmsEvent.Operation;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The way from one envelope to another under a data key of its own: opened past every cache, as
 * keyset-v1 KS-7 lets REENCRYPT, and sealed afresh. How the sealing ends is how the operation ends.
 * Safe for concurrent use.
 */
final class ReencryptPath {
  private final OpenKeyset keyset;
  private final DataKeys dataKeys;
  private final Traffic traffic;
  private final Announcer announcer;
  private final OpeningPath opening;
  private final SealingPath sealing;

  ReencryptPath(
      OpenKeyset keyset,
      DataKeys dataKeys,
      Traffic traffic,
      Announcer announcer,
      OpeningPath opening,
      SealingPath sealing) {
    this.keyset = keyset;
    this.dataKeys = dataKeys;
    this.traffic = traffic;
    this.announcer = announcer;
    this.opening = opening;
    this.sealing = sealing;
  }

  byte[] reencrypt(byte[] envelope, EncryptionContext context) {
    Observation observation = observe();
    byte[] plaintext;
    try {
      plaintext = open(envelope, context, observation);
    } catch (RuntimeException | Error e) {
      failed(observation, e);
      throw e;
    }
    try {
      return sealing.sealAfresh(plaintext, context, observation);
    } finally {
      Arrays.fill(plaintext, (byte) 0);
    }
  }

  /**
   * All of {@code source} to {@code sink}, neither of which is closed; returns bytes of plaintext.
   */
  long reencrypt(InputStream source, OutputStream sink, EncryptionContext context)
      throws IOException {
    Observation observation = observe();
    EnvelopeHeader header;
    try {
      header = EnvelopeHeader.parseAlone(OpeningPath.readHeader(source));
    } catch (IOException | RuntimeException | Error e) {
      failed(observation, e);
      throw e;
    }
    return header.suite() == AlgorithmSuite.ONE_SHOT
        ? reencryptMessage(header, source, sink, context, observation)
        : reencryptStream(header, source, sink, context, observation);
  }

  private long reencryptMessage(
      EnvelopeHeader header,
      InputStream body,
      OutputStream sink,
      EncryptionContext context,
      @Nullable Observation observation)
      throws IOException {
    byte[] plaintext;
    try {
      byte[] sealed = body.readNBytes(EnvelopeHeader.ONE_SHOT_MAX_BODY + 1);
      plaintext = open(OpeningPath.whole(header, sealed), context, observation);
    } catch (IOException | RuntimeException | Error e) {
      failed(observation, e);
      throw e;
    }
    try {
      sealing.sealAfresh(plaintext, context, sink, observation);
      return plaintext.length;
    } finally {
      Arrays.fill(plaintext, (byte) 0);
    }
  }

  private long reencryptStream(
      EnvelopeHeader header,
      InputStream body,
      OutputStream sink,
      EncryptionContext context,
      @Nullable Observation observation)
      throws IOException {
    InputStream opened;
    try {
      opened = open(header, body, context, observation);
    } catch (IOException | RuntimeException | Error e) {
      failed(observation, e);
      throw e;
    }
    try (InputStream plaintext = opened;
        EnvelopeOutputStream out =
            sealing.streamAfresh(new UnclosedOutputStream(sink), context, observation)) {
      return out.transferAndFinish(plaintext);
    }
  }

  private byte[] open(
      byte[] envelope, EncryptionContext context, @Nullable Observation observation) {
    EnvelopeHeader header = EnvelopeHeader.parse(envelope);
    header.requireBody(envelope.length - header.lengthBytes());
    try (DataKey key = unwrap(header, observation)) {
      byte[] plaintext = opening.openBody(key, envelope, context, /* atHand= */ false);
      if (plaintext == null) {
        throw closedByAnother();
      }
      return plaintext;
    }
  }

  /** The plaintext of a chunked body; closing it leaves {@code body} open. */
  private InputStream open(
      EnvelopeHeader header,
      InputStream body,
      EncryptionContext context,
      @Nullable Observation observation)
      throws IOException {
    byte[] prefix = body.readNBytes(ChunkCipher.PREFIX_BYTES);
    byte[] chunk = new byte[ChunkCipher.SEALED_CHUNK_BYTES];
    int chunkLength = body.readNBytes(chunk, 0, chunk.length);
    header.requireBody(prefix.length + chunkLength);
    try (DataKey key = unwrap(header, observation)) {
      ChunkCipher cipher =
          key.streams().cipher(ChunkedBody.salt(prefix, 0), context.toCanonicalBytes());
      if (cipher == null) {
        throw closedByAnother();
      }
      return new DecryptingInputStream(
          new UnclosedInputStream(body),
          OpeningPath.checked(cipher, prefix),
          chunk,
          chunkLength,
          StreamEnd.ofDecryptionToReencrypt(traffic));
    }
  }

  private DataKey unwrap(EnvelopeHeader header, @Nullable Observation observation) {
    OpeningPath.requireOwn(header, keyset, observation);
    Keyset snapshot = keyset.snapshot(header.keyVersion());
    return dataKeys.unwrapToReencrypt(header, keyset, snapshot);
  }

  private static IllegalStateException closedByAnother() {
    return new IllegalStateException("a data key was closed by another than its owner");
  }

  private @Nullable Observation observe() {
    return Observation.start(announcer, Operation.REENCRYPT, keyset.id());
  }

  private void failed(@Nullable Observation observation, Throwable failure) {
    traffic.failures.increment();
    Observation.failed(observation, failure);
  }
}
