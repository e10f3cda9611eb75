package dev.sealwax.kms.pkcs11;

import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.ThreadFactory;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

final class ModuleThreadsTest {
  private static final InheritableThreadLocal<String> REQUEST = new InheritableThreadLocal<>();

  private final ClassLoader before = Thread.currentThread().getContextClassLoader();
  private final ClassLoader owner = new ClassLoader() {};

  @AfterEach
  void restore() {
    REQUEST.remove();
    Thread.currentThread().setContextClassLoader(before);
  }

  @Test
  void threadForTheModule_hasTheLoaderOfSealwax() throws Exception {
    assertSame(ModuleThreads.class.getClassLoader(), loaderIn(ModuleThreads::of));
  }

  @Test
  void threadOfAFactory_hasTheLoaderOfWhoMadeIt() throws Exception {
    Thread.currentThread().setContextClassLoader(owner);
    ThreadFactory factory = ModuleThreads.factory();
    assertSame(owner, loaderIn(factory::newThread));
  }

  /** Runs a thread that is asked for in a request, and asserts that it has nothing of it. */
  private static ClassLoader loaderIn(Function<Runnable, Thread> threads) throws Exception {
    REQUEST.set("a request");
    Thread.currentThread().setContextClassLoader(new ClassLoader() {});
    AtomicReference<String> inherited = new AtomicReference<>("not run");
    Thread thread = threads.apply(() -> inherited.set(REQUEST.get()));
    ClassLoader loader = thread.getContextClassLoader();
    thread.start();
    thread.join();
    assertTrue(thread.isDaemon());
    assertNull(inherited.get());
    return loader;
  }
}
