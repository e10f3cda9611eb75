package dev.sealwax.kms.examples;

import dev.sealwax.kms.envelope.EnvelopeInfo;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * What can be told of many envelopes without any key: a digest of all that follows their headers,
 * and how many are under which key version. For one thread.
 */
final class Payloads {
  private final MessageDigest digest = Digests.sha256();
  private final SortedMap<Integer, Long> countByVersion = new TreeMap<>();

  void add(byte[] envelope) {
    EnvelopeInfo info = EnvelopeInfo.inspect(envelope);
    int start = info.headerLengthBytes();
    digest.update(envelope, start, envelope.length - start);
    countByVersion.merge(info.keyVersion(), 1L, Long::sum);
  }

  /** Adds the envelope with this header, whose body is the rest of {@code in}. */
  void add(byte[] header, InputStream in) throws IOException {
    in.skipNBytes(header.length);
    new DigestInputStream(in, digest).transferTo(OutputStream.nullOutputStream());
    countByVersion.merge(EnvelopeInfo.inspect(header).keyVersion(), 1L, Long::sum);
  }

  SortedMap<Integer, Long> countByVersion() {
    return countByVersion;
  }

  /** Ends the digest; to be called once. */
  String digest() {
    return Digests.hex(digest);
  }
}
