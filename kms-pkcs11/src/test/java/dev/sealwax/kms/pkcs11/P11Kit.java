package dev.sealwax.kms.pkcs11;

import static org.junit.jupiter.api.Assertions.fail;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * A token behind a socket, the nearest thing to a network HSM: {@code p11-kit server} in front of
 * SoftHSM, and the client module in this process. The connection is cut by killing the server.
 */
final class P11Kit implements AutoCloseable {
  private final Path socket;
  private final SoftHsm behind;
  private @Nullable Process server;

  P11Kit(Path directory, SoftHsm behind) {
    this.socket = directory.resolve("p11-kit.socket");
    this.behind = behind;
    NativeEnvironment.set("P11_KIT_SERVER_ADDRESS", "unix:path=" + socket);
    start();
  }

  static Path module() {
    return Tools.library("pkcs11/p11-kit-client.so");
  }

  static Pkcs11Config config(String uri) {
    return Pkcs11Config.of(module(), uri).withPin(SoftHsm.PIN::toCharArray);
  }

  void start() {
    try {
      Files.deleteIfExists(socket);
      ProcessBuilder builder =
          new ProcessBuilder(
                  "p11-kit",
                  "server",
                  "-f",
                  "-n",
                  socket.toString(),
                  "--provider",
                  SoftHsm.module().toString(),
                  "pkcs11:")
              .redirectOutput(ProcessBuilder.Redirect.DISCARD)
              .redirectError(ProcessBuilder.Redirect.DISCARD);
      builder.environment().putAll(behind.environment());
      server = builder.start();
      for (int i = 0; i < 500 && !listens(); i++) {
        Thread.sleep(10);
      }
      if (!listens()) {
        fail("p11-kit server does not listen on " + socket);
      }
    } catch (IOException e) {
      throw new UncheckedIOException("p11-kit cannot be run; run .ci/setup", e);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  /** That the file exists is not enough: it does before anybody listens. */
  private boolean listens() {
    try (SocketChannel probe = SocketChannel.open(UnixDomainSocketAddress.of(socket))) {
      return probe.isConnected();
    } catch (IOException e) {
      return false;
    }
  }

  /** Kills the server and the processes it made for each connection. */
  void stop() {
    Process running = server;
    if (running == null) {
      return;
    }
    running.descendants().forEach(ProcessHandle::destroyForcibly);
    running.destroyForcibly();
    try {
      if (!running.waitFor(10, TimeUnit.SECONDS)) {
        fail("p11-kit server does not die");
      }
      Files.deleteIfExists(socket);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
    server = null;
  }

  @Override
  public void close() {
    stop();
  }
}
