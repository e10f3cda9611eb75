package dev.sealwax.kms.keyset;

import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.time.Duration;
import java.util.stream.Stream;

/** SEAM. */
public final class Keysets {
  Keysets() {}

  public Keyset create(String name, KeysetTemplate template) {
    throw new UnsupportedOperationException();
  }

  public Keyset get(String name) {
    throw new UnsupportedOperationException();
  }

  public Stream<KeysetId> list() {
    throw new UnsupportedOperationException();
  }

  public Keyset rotate(String name) {
    throw new UnsupportedOperationException();
  }

  public Keyset rotateIfDue(String name) {
    throw new UnsupportedOperationException();
  }

  public Keyset publish(String name) {
    throw new UnsupportedOperationException();
  }

  public Keyset promote(String name, int version) {
    throw new UnsupportedOperationException();
  }

  public Keyset disable(String name, int version) {
    throw new UnsupportedOperationException();
  }

  public Keyset enable(String name, int version) {
    throw new UnsupportedOperationException();
  }

  public Keyset compromise(String name, int version) {
    throw new UnsupportedOperationException();
  }

  public Keyset scheduleDestruction(String name, int version) {
    throw new UnsupportedOperationException();
  }

  public Keyset scheduleDestruction(String name, int version, Duration window) {
    throw new UnsupportedOperationException();
  }

  public Keyset scheduleDestruction(String name) {
    throw new UnsupportedOperationException();
  }

  public Keyset cancelDestruction(String name, int version) {
    throw new UnsupportedOperationException();
  }

  public Keyset cancelDestruction(String name) {
    throw new UnsupportedOperationException();
  }

  public Keyset destroy(String name, int version) {
    throw new UnsupportedOperationException();
  }

  public Keyset destroy(String name) {
    throw new UnsupportedOperationException();
  }

  public Keyset moveToRootKey(String name, RootKey target) {
    throw new UnsupportedOperationException();
  }

  public Keyset refresh(String name) {
    throw new UnsupportedOperationException();
  }
}
