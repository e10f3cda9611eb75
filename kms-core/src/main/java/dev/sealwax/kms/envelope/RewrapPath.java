package dev.sealwax.kms.envelope;

import dev.sealwax.kms.events.Announcer;
import dev.sealwax.kms.keyset.Keyset;
import dev.sealwax.kms.keyset.OpenKeyset;
import dev.sealwax.kms.vocabulary.KmsEvent.CacheResult;
import dev.sealwax.kms.vocabulary.KmsEvent.Operation;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import org.jspecify.annotations.Nullable;

/**
 * The way from one header to another: the data key stays, the key version that wraps it changes
 * (envelope-v1 §11). Bodies are not read. Safe for concurrent use.
 */
final class RewrapPath {
  private final OpenKeyset keyset;
  private final DataKeys dataKeys;
  private final Traffic traffic;
  private final Announcer announcer;

  RewrapPath(OpenKeyset keyset, DataKeys dataKeys, Traffic traffic, Announcer announcer) {
    this.keyset = keyset;
    this.dataKeys = dataKeys;
    this.traffic = traffic;
    this.announcer = announcer;
  }

  /** A whole envelope, whose body is not read but has to be there. */
  byte[] rewrap(byte[] envelope) {
    Observation observation = Observation.start(announcer, Operation.REWRAP, keyset.id());
    try {
      byte[] moved = rewrapArray(envelope, observation);
      rewrapped(observation);
      return moved;
    } catch (RuntimeException | Error e) {
      failed(observation, e);
      throw e;
    }
  }

  private byte[] rewrapArray(byte[] envelope, @Nullable Observation observation) {
    EnvelopeHeader header = EnvelopeHeader.parse(envelope);
    header.requireBody(envelope.length - header.lengthBytes());
    byte[] moved = envelope.clone();
    rewrap(header, observation).writeTo(moved);
    return moved;
  }

  String rewrapText(String text) {
    Observation observation = Observation.start(announcer, Operation.REWRAP, keyset.id());
    try {
      String moved = TextForm.encode(rewrapArray(TextForm.decode(text), observation));
      rewrapped(observation);
      return moved;
    } catch (RuntimeException | Error e) {
      failed(observation, e);
      throw e;
    }
  }

  byte[] rewrapHeader(byte[] start) {
    Observation observation = Observation.start(announcer, Operation.REWRAP, keyset.id());
    try {
      byte[] moved = rewrap(EnvelopeHeader.parse(start), observation).toBytes();
      rewrapped(observation);
      return moved;
    } catch (RuntimeException | Error e) {
      failed(observation, e);
      throw e;
    }
  }

  void rewrapInPlace(SeekableByteChannel channel) throws IOException {
    Observation observation = Observation.start(announcer, Operation.REWRAP, keyset.id());
    try {
      long place = channel.position();
      try {
        EnvelopeHeader header = EnvelopeHeader.parse(OpeningPath.readHeader(channel));
        header.requireBody(channel.size() - header.lengthBytes());
        byte[] moved = rewrap(header, observation).encoded();
        if (!header.isPrefixOf(moved)) {
          channel.position(0);
          ByteBuffer out = ByteBuffer.wrap(moved).asReadOnlyBuffer();
          while (out.hasRemaining()) {
            channel.write(out);
          }
        }
      } finally {
        channel.position(place);
      }
      rewrapped(observation);
    } catch (IOException | RuntimeException | Error e) {
      failed(observation, e);
      throw e;
    }
  }

  private EnvelopeHeader rewrap(EnvelopeHeader header, @Nullable Observation observation) {
    OpeningPath.requireOwn(header, keyset, observation);
    Keyset snapshot = keyset.snapshotToWrap(header.keyVersion());
    EnvelopeHeader moved = dataKeys.rewrap(header, keyset, snapshot);
    Observation.key(observation, snapshot.primary(), CacheResult.NONE);
    return moved;
  }

  private void rewrapped(@Nullable Observation observation) {
    traffic.rewrapped.increment();
    Observation.succeeded(observation, 0);
  }

  private void failed(@Nullable Observation observation, Throwable failure) {
    traffic.failures.increment();
    Observation.failed(observation, failure);
  }
}
