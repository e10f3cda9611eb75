package dev.sealwax.kms.pkcs11;

import java.util.concurrent.ThreadFactory;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Threads on which a module is called, so that a call that hangs in it costs a thread of ours, and
 * does not keep the JVM from ending. They have neither the thread locals nor the context class
 * loader of whoever happens to need one: they may outlive that one's request.
 */
final class ModuleThreads {
  private static final AtomicInteger NUMBER = new AtomicInteger();

  private ModuleThreads() {}

  /** A thread, not started, for what calls the module only. */
  static Thread of(Runnable body) {
    String name = "sealwax-pkcs11-" + NUMBER.incrementAndGet();
    Thread thread = new Thread(null, body, name, 0, /* inheritThreadLocals= */ false);
    thread.setContextClassLoader(ModuleThreads.class.getClassLoader());
    thread.setDaemon(true);
    return thread;
  }

  /**
   * Makes threads for what also calls the application, for its PIN: with the context class loader
   * of whoever makes the factory, which is where its providers are.
   */
  static ThreadFactory factory() {
    ClassLoader ofOwner = Thread.currentThread().getContextClassLoader();
    return body -> {
      Thread thread = of(body);
      thread.setContextClassLoader(ofOwner);
      return thread;
    };
  }
}
