package dev.sealwax.kms.pkcs11;

import java.util.concurrent.atomic.AtomicInteger;

/** Threads on which a module is called, so that a call that hangs in it costs a thread of ours. */
final class ModuleThreads {
  private static final AtomicInteger NUMBER = new AtomicInteger();

  private ModuleThreads() {}

  /**
   * A thread, not started, that keeps no JVM alive and has nothing of whoever asks for it: it may
   * outlive that one's request, and its application in a container.
   */
  static Thread of(Runnable body) {
    String name = "sealwax-pkcs11-" + NUMBER.incrementAndGet();
    Thread thread = new Thread(null, body, name, 0, /* inheritThreadLocals= */ false);
    thread.setContextClassLoader(ModuleThreads.class.getClassLoader());
    thread.setDaemon(true);
    return thread;
  }
}
