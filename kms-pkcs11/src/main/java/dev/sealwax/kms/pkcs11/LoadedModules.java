package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;

import dev.sealwax.kms.vocabulary.RootKeyException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Function;

/**
 * The modules of this JVM, one for each canonical path, and how many users each has. A module is
 * initialized once for a process and keeps its state in static memory, so all connections that use
 * its file share one object.
 *
 * <p>Which module is retired is decided under the registry's own lock, so that nobody becomes a
 * user of one in that moment. Whoever holds a module's writing lock may take it, and nobody does it
 * the other way round. A module is here before it is loaded, so that two users load it once. Safe
 * for any thread.
 */
final class LoadedModules {
  /** Its monitor is the lock of the registry, and guards both maps. */
  private static final Map<Path, CryptokiModule> LOADED = new HashMap<>();

  private static final Map<CryptokiModule, Integer> USERS = new HashMap<>();

  private LoadedModules() {}

  /**
   * Finds or loads the module of a configuration and counts one more user of it, who has to {@link
   * CryptokiModule#release} it.
   *
   * @throws RootKeyException if it cannot be loaded or initialized within the timeout of a call, or
   *     is in use with other arguments
   */
  static CryptokiModule acquire(Pkcs11Config config, Function<Path, Cryptoki> loader) {
    Path path = canonical(config.module());
    Deadline deadline = Deadline.in(config.callTimeout());
    while (true) {
      CryptokiModule module = register(path, config);
      boolean usable = false;
      try {
        usable = module.start(loader, deadline);
      } finally {
        if (!usable) {
          module.release(deadline);
        }
      }
      if (usable) {
        return module;
      }
    }
  }

  private static Path canonical(Path module) {
    try {
      return module.toRealPath();
    } catch (IOException e) {
      throw new RootKeyException(NOT_FOUND, "there is no PKCS#11 module " + module, e);
    }
  }

  private static CryptokiModule register(Path path, Pkcs11Config config) {
    synchronized (LOADED) {
      CryptokiModule module =
          LOADED.computeIfAbsent(path, file -> new CryptokiModule(file, config));
      if (!module.isRetired() && !module.isConfiguredLike(config)) {
        throw new RootKeyException(
            UNSUPPORTED,
            "PKCS#11 module "
                + path
                + " is in use with other arguments, or by connections that differ in"
                + " Concession.SHARED_MODULE; a process can initialize it once");
      }
      USERS.merge(module, 1, Integer::sum);
      return module;
    }
  }

  /** Counts one user less; whether it was the last. */
  static boolean unregister(CryptokiModule module) {
    synchronized (LOADED) {
      int left = USERS.getOrDefault(module, 0) - 1;
      if (left > 0) {
        USERS.put(module, left);
      } else {
        USERS.remove(module);
      }
      return left == 0;
    }
  }

  /**
   * Retires a module that nobody uses. It stays here until {@link #remove}, so that whoever wants
   * it next meets its lock. Called under its writing lock.
   *
   * @return whether it was retired now
   */
  static boolean retireIfUnused(CryptokiModule module) {
    synchronized (LOADED) {
      if (USERS.containsKey(module) || module.isRetired()) {
        return false;
      }
      module.retire();
      return true;
    }
  }

  /** Retires a module, used or not, and makes room for another. Called under its writing lock. */
  static void remove(CryptokiModule module) {
    synchronized (LOADED) {
      module.retire();
      LOADED.remove(module.path(), module);
    }
  }
}
