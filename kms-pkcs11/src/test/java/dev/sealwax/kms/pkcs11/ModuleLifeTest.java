package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.concurrent.locks.ReentrantLock;
import org.junit.jupiter.api.Test;

/** The life of a module and of its sessions, below connections. */
final class ModuleLifeTest extends FakeTokenTest {
  private static Deadline soon() {
    return Deadline.in(Duration.ofMillis(20));
  }

  private static Deadline later() {
    return Deadline.in(Duration.ofSeconds(20));
  }

  private CryptokiModule acquire() {
    return LoadedModules.acquire(config, path -> module);
  }

  @Test
  void aModuleGivenUp_isNeverCalledAgain() {
    CryptokiModule first = acquire();
    long generation = first.generation();
    first.release(later());
    CryptokiModule second = acquire();
    int finalized = module.calls(CkFunction.C_Finalize);
    assertThrows(IllegalStateException.class, () -> first.enter(later()));
    assertThrows(IllegalStateException.class, () -> first.recover(generation, "late", later()));
    assertFalse(first.tryEnter(later()));
    assertEquals(finalized, module.calls(CkFunction.C_Finalize));
    assertEquals(2, module.initializations());
    second.release(later());
  }

  @Test
  void aModuleWithACallInside_isTakenUpByTheNextUser() {
    CryptokiModule first = acquire();
    first.enter(later());
    first.release(soon());
    assertEquals(0, module.calls(CkFunction.C_Finalize));
    CryptokiModule second = acquire();
    assertSame(first, second);
    first.leave();
    second.release(later());
    assertEquals(1, module.calls(CkFunction.C_Finalize));
  }

  @Test
  void aModuleThatCannotBeInitialized_isTriedAnewByTheNextUser() {
    module.failing(CkFunction.C_Initialize, ReturnCode.CKR_GENERAL_ERROR.code());
    assertFails(UNAVAILABLE, this::acquire);
    module.heal();
    acquire().release(later());
    assertEquals(1, module.calls(CkFunction.C_Finalize));
  }

  @Test
  void callsThatWaitedTogether_areOneFailure() throws Exception {
    config = config.withBackOff(Duration.ofHours(1), Duration.ofHours(1));
    CryptokiModule acquired = acquire();
    long generation = acquired.generation();
    Thread inside = new Thread(() -> acquired.enter(later()));
    inside.start();
    inside.join();
    for (int i = 0; i < 3; i++) {
      assertFails(UNAVAILABLE, () -> acquired.recover(generation, "failure", soon()));
    }
    assertEquals(1, acquired.circuit().failures());
    acquired.release(soon());
  }

  @Test
  void whoIsLate_getsNoLock() {
    ReentrantLock free = new ReentrantLock();
    assertFalse(new Deadline(System.nanoTime() - 1).take(free));
    assertFalse(free.isLocked());
  }

  @Test
  void aSessionThatCouldNotBeRenewed_isClosedOnce() {
    module.initialize(null);
    Login login = new Login(1, module.tokenInfo(FakeModule.SLOT), 0, true);
    TokenSession session = TokenSession.open(module, login, false);
    module.failing(CkFunction.C_OpenSession, ReturnCode.CKR_SESSION_COUNT.code());
    assertThrows(CryptokiException.class, session::renew);
    session.close();
    assertEquals(1, module.calls(CkFunction.C_CloseSession));
    assertTrue(session.isBroken());
  }
}
