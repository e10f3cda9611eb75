package dev.sealwax.kms.guard;

import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.ThreadFactory;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

final class DaemonThreadsTest {
  private static final InheritableThreadLocal<String> REQUEST = new InheritableThreadLocal<>();

  @Test
  void factory_givesThreadsWhatTheirOwnerHas_andNothingOfWhoNeedsThem() throws Exception {
    ClassLoader owner = new ClassLoader() {};
    AtomicReference<ClassLoader> loader = new AtomicReference<>();
    AtomicReference<String> inherited = new AtomicReference<>("not run");
    ThreadFactory factory = madeUnder(owner);

    REQUEST.set("a request");
    try {
      Thread thread =
          factory.newThread(
              () -> {
                loader.set(Thread.currentThread().getContextClassLoader());
                inherited.set(REQUEST.get());
              });
      thread.start();
      thread.join();
      assertTrue(thread.isDaemon());
    } finally {
      REQUEST.remove();
    }

    assertSame(owner, loader.get());
    assertNull(inherited.get());
  }

  private static ThreadFactory madeUnder(ClassLoader owner) {
    Thread current = Thread.currentThread();
    ClassLoader before = current.getContextClassLoader();
    current.setContextClassLoader(owner);
    try {
      return DaemonThreads.factory("test");
    } finally {
      current.setContextClassLoader(before);
    }
  }
}
