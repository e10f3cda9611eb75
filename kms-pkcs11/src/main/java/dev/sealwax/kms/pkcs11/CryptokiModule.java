package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;

import dev.sealwax.kms.vocabulary.RootKeyException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A loaded and initialized module, shared by all connections of this JVM that use its file.
 *
 * <p>A module is initialized once for a process and keeps its state in static memory, so there is
 * one of these for each canonical path. Calls hold the reading half of a lock; finalizing takes the
 * writing half, so nothing is ever finalized under a call. Safe for any thread.
 */
final class CryptokiModule {
  private static final Logger LOG = LoggerFactory.getLogger(CryptokiModule.class);

  private static final Map<Path, CryptokiModule> LOADED = new HashMap<>();

  private final Path path;
  private final Cryptoki cryptoki;
  private final @Nullable String arguments;
  private final boolean shared;
  private final Circuit circuit;
  private final ReentrantReadWriteLock calls = new ReentrantReadWriteLock();
  private final ReentrantLock logins = new ReentrantLock();
  private final AtomicLong reinitializations = new AtomicLong();

  /** Counted by {@link #LOADED}'s monitor. */
  private int users;

  /** Written under the writing lock. */
  private volatile boolean initialized;

  private volatile boolean foreign;
  private final AtomicLong generation = new AtomicLong();
  private volatile long blamedGeneration = -1;

  private CryptokiModule(Path path, Cryptoki cryptoki, Pkcs11Config config, Circuit circuit) {
    this.path = path;
    this.cryptoki = cryptoki;
    this.arguments = config.moduleArguments();
    this.shared = config.accepts(Concession.SHARED_MODULE);
    this.circuit = circuit;
  }

  /**
   * Finds or loads the module of a configuration and counts one more user of it. The first call
   * initializes it, on a thread that may hang.
   *
   * @throws RootKeyException if it cannot be loaded, or is in use with other arguments
   */
  static CryptokiModule acquire(Pkcs11Config config, Function<Path, Cryptoki> loader) {
    Path path = canonical(config.module());
    synchronized (LOADED) {
      CryptokiModule module = LOADED.get(path);
      if (module == null) {
        Circuit circuit =
            new Circuit(config.firstBackOff(), config.longestBackOff(), System::nanoTime);
        module = new CryptokiModule(path, loader.apply(path), config, circuit);
        LOADED.put(path, module);
      } else if (!Objects.equals(module.arguments, config.moduleArguments())
          || module.shared != config.accepts(Concession.SHARED_MODULE)) {
        throw new RootKeyException(
            UNSUPPORTED,
            "PKCS#11 module "
                + path
                + " is in use with other arguments; a process can initialize"
                + " it once");
      }
      module.users++;
      return module;
    }
  }

  private static Path canonical(Path module) {
    try {
      return module.toRealPath();
    } catch (IOException e) {
      throw new RootKeyException(NOT_FOUND, "there is no PKCS#11 module " + module, e);
    }
  }

  private void start() {
    try {
      foreign = !initialize() || shared;
    } catch (CryptokiException e) {
      throw e.translated("cannot initialize PKCS#11 module " + path);
    }
    if (foreign) {
      // Whoever else uses it would lose its sessions if this library finalized the module.
      LOG.info("PKCS#11 module {} is used by others in this JVM and is never finalized", path);
    }
  }

  /** Whether it was not initialized before. */
  private boolean initialize() {
    boolean fresh = true;
    try {
      cryptoki.initialize(arguments);
    } catch (CryptokiException e) {
      if (e.code() != ReturnCode.CKR_CRYPTOKI_ALREADY_INITIALIZED) {
        throw e;
      }
      fresh = false;
    }
    generation.incrementAndGet();
    initialized = true;
    return fresh;
  }

  /**
   * Gives the module up; the last user finalizes it, unless it is somebody else's. If a call hangs
   * in it, it stays loaded as it is, for whoever comes next.
   */
  void release(Deadline deadline) {
    synchronized (LOADED) {
      users--;
      if (users > 0) {
        return;
      }
    }
    if (deadline.take(calls.writeLock())) {
      try {
        finishUnlessUsed();
      } finally {
        calls.writeLock().unlock();
      }
    }
  }

  private void finishUnlessUsed() {
    synchronized (LOADED) {
      if (users > 0 || !LOADED.remove(path, this) || !initialized) {
        return;
      }
      initialized = false;
      if (!foreign) {
        finish();
      }
    }
  }

  /** A module that lost its device may refuse even this; the next C_Initialize will tell. */
  private void finish() {
    try {
      cryptoki.finish();
    } catch (CryptokiException e) {
      LOG.debug("finalizing PKCS#11 module {}", path, e);
    }
  }

  /**
   * Begins a call; {@link #leave} ends it. Initializes the module first if a recovery could not.
   *
   * @throws RootKeyException with {@code UNAVAILABLE} if the circuit is open, or the deadline comes
   */
  void enter(Deadline deadline) {
    while (true) {
      circuit.requireClosed();
      if (!initialized) {
        recover(generation(), "not initialized", deadline);
      }
      if (!deadline.take(calls.readLock())) {
        throw new RootKeyException(
            UNAVAILABLE, "PKCS#11 module " + path + " did not become free within the timeout");
      }
      if (initialized) {
        return;
      }
      calls.readLock().unlock();
    }
  }

  /** Begins a call if the module is usable as it is, without any attempt to mend it. */
  boolean tryEnter(Deadline deadline) {
    if (!initialized || !deadline.take(calls.readLock())) {
      return false;
    }
    // Nobody writes it while a call is under way.
    if (initialized) {
      return true;
    }
    calls.readLock().unlock();
    return false;
  }

  void leave() {
    calls.readLock().unlock();
  }

  /**
   * Finalizes the module and initializes it anew, unless somebody did since {@code seen}.
   *
   * @param seen the generation that failed
   * @throws RootKeyException with {@code UNAVAILABLE} if that is impossible or fails; the circuit
   *     is open then
   */
  void recover(long seen, String failure, Deadline deadline) {
    Lock writing = calls.writeLock();
    if (!deadline.take(writing)) {
      circuit.failed("a call has not returned from the module");
      throw new RootKeyException(
          UNAVAILABLE,
          "PKCS#11 module "
              + path
              + " cannot be initialized anew because a call has not returned"
              + " from it; after: "
              + failure);
    }
    try {
      if (generation() == seen) {
        circuit.requireClosed();
        if (seen == 0) {
          start();
        } else {
          recoverNow(failure);
        }
      }
    } finally {
      writing.unlock();
    }
  }

  private void recoverNow(String failure) {
    if (foreign) {
      circuit.failed(failure);
      throw new RootKeyException(
          UNAVAILABLE,
          "PKCS#11 module "
              + path
              + " failed and cannot be initialized anew, because somebody else"
              + " in this JVM uses it too: "
              + failure);
    }
    LOG.warn("PKCS#11 module {} is initialized anew after: {}", path, failure);
    initialized = false;
    finish();
    try {
      initialize();
      reinitializations.incrementAndGet();
    } catch (CryptokiException e) {
      circuit.failed(String.valueOf(e.getMessage()));
      throw new RootKeyException(
          UNAVAILABLE, "PKCS#11 module " + path + " cannot be initialized anew", e);
    }
  }

  /** The module was initialized anew and still failed: leave it alone for a while. */
  void failedAfterRecovery(long failedGeneration, String failure) {
    synchronized (circuit) {
      // Calls that failed together are one failure, or the wait would double for each of them.
      if (blamedGeneration != failedGeneration) {
        blamedGeneration = failedGeneration;
        circuit.failed(failure);
      }
    }
  }

  void succeeded() {
    circuit.succeeded();
  }

  /** One login at a time, so that a wrong PIN is tried by one of many. */
  ReentrantLock logins() {
    return logins;
  }

  Cryptoki cryptoki() {
    return cryptoki;
  }

  Circuit circuit() {
    return circuit;
  }

  Path path() {
    return path;
  }

  /**
   * Grows whenever sessions and handles of before have ended; 0 before the first initialization.
   */
  long generation() {
    return generation.get();
  }

  long reinitializations() {
    return reinitializations.get();
  }

  /** Whether it may be finalized and initialized anew. */
  boolean isRecoverable() {
    return !foreign;
  }

  @Override
  public String toString() {
    return "CryptokiModule[" + path + "]";
  }
}
