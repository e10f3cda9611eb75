package dev.sealwax.kms.crypto;

import java.lang.reflect.Method;

/** Virtual threads on a JDK that has them (21 and later), else platform threads of small stacks. */
final class LightThreads {
  /** A platform thread costs half a millisecond to start, a virtual one a microsecond. */
  static final int MANY = areVirtual() ? 10_000 : 2_000;

  private LightThreads() {}

  static boolean areVirtual() {
    return Runtime.version().feature() >= 21;
  }

  static Thread start(Runnable task) {
    if (!areVirtual()) {
      Thread thread = new Thread(null, task, "light", 128 * 1024);
      thread.setDaemon(true);
      thread.start();
      return thread;
    }
    try {
      Method start = Thread.class.getMethod("startVirtualThread", Runnable.class);
      return (Thread) start.invoke(null, task);
    } catch (ReflectiveOperationException e) {
      throw new LinkageError("this JDK has virtual threads", e);
    }
  }
}
