package dev.sealwax.kms.pkcs11;

import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

final class ModuleThreadsTest {
  private static final InheritableThreadLocal<String> REQUEST = new InheritableThreadLocal<>();

  private final ClassLoader before = Thread.currentThread().getContextClassLoader();

  @AfterEach
  void restore() {
    REQUEST.remove();
    Thread.currentThread().setContextClassLoader(before);
  }

  @Test
  void thread_hasNothingOfWhoAsksForIt() throws Exception {
    REQUEST.set("a request");
    Thread.currentThread().setContextClassLoader(new ClassLoader() {});
    AtomicReference<String> inherited = new AtomicReference<>("not run");
    Thread thread = ModuleThreads.of(() -> inherited.set(REQUEST.get()));
    thread.start();
    thread.join();

    assertTrue(thread.isDaemon());
    assertSame(
        ModuleThreads.class.getClassLoader(), ModuleThreads.of(() -> {}).getContextClassLoader());
    assertNull(inherited.get());
  }
}
