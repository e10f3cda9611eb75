package dev.sealwax.kms.examples.benchmark;

import com.godaddy.asherah.appencryption.Session;
import com.godaddy.asherah.appencryption.SessionFactory;

/**
 * Asherah with keys in memory and its default caches. It authenticates no context, so it has less
 * to do.
 */
final class AsherahColumn implements Column, AutoCloseable {
  private final SessionFactory factory =
      SessionFactory.newBuilder("benchmark", "benchmark")
          .withInMemoryMetastore()
          .withNeverExpiredCryptoPolicy()
          .withStaticKeyManagementService("benchmark-static-master-key-0000")
          .build();
  private final Session<byte[], byte[]> session = factory.getSessionBytes("orders");

  @Override
  public String name() {
    return "Asherah";
  }

  @Override
  public byte[] encrypt(byte[] plaintext) {
    return session.encrypt(plaintext);
  }

  @Override
  public byte[] decrypt(byte[] sealed) {
    return session.decrypt(sealed);
  }

  @Override
  public void close() {
    session.close();
    factory.close();
  }
}
