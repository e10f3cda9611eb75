package dev.sealwax.kms.store;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * A network between a client and a server of this machine that fails on demand, at the moment a
 * client says a certain word. Each fault happens once; what comes later goes through.
 */
final class TcpProxy implements AutoCloseable {
  /** What happens when the word is said. */
  enum Fault {
    /** Both ends are cut off, and the server never hears the word. */
    CUT_BEFORE,
    /** The server hears it and answers; both ends are cut off before the client hears that. */
    CUT_AFTER,
    /** Nothing goes through any more, and nobody is told. */
    SILENCE
  }

  private record Trap(String word, Fault fault) {}

  private final ServerSocket listening;
  private final int target;
  private final List<Socket> sockets = new ArrayList<>(); // guarded by itself
  private volatile Trap trap;

  TcpProxy(int target) throws IOException {
    this.target = target;
    this.listening = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    start(this::accept);
  }

  int port() {
    return listening.getLocalPort();
  }

  /** Arms one fault. */
  void failAt(String word, Fault fault) {
    trap = new Trap(word, fault);
  }

  /** Whether the armed fault happened. */
  boolean hasFailed() {
    return trap == null;
  }

  /** Cuts off all who are connected. */
  void cut() {
    synchronized (sockets) {
      sockets.forEach(TcpProxy::close);
      sockets.clear();
    }
  }

  private void accept() {
    while (true) {
      try {
        Socket client = listening.accept();
        Socket server = new Socket(InetAddress.getLoopbackAddress(), target);
        synchronized (sockets) {
          sockets.add(client);
          sockets.add(server);
        }
        AtomicBoolean cutAtAnswer = new AtomicBoolean();
        AtomicBoolean silent = new AtomicBoolean();
        start(() -> pump(client, server, true, cutAtAnswer, silent));
        start(() -> pump(server, client, false, cutAtAnswer, silent));
      } catch (IOException e) {
        if (listening.isClosed()) {
          return;
        }
        // The server is down: this client learns it by being cut off.
      }
    }
  }

  private void pump(
      Socket from, Socket to, boolean request, AtomicBoolean cutAtAnswer, AtomicBoolean silent) {
    byte[] buffer = new byte[1 << 16];
    try (from;
        to) {
      InputStream in = from.getInputStream();
      OutputStream out = to.getOutputStream();
      for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
        if (request) {
          Fault fault = faultOf(new String(buffer, 0, n, StandardCharsets.ISO_8859_1));
          if (fault == Fault.CUT_BEFORE) {
            return;
          }
          cutAtAnswer.compareAndSet(false, fault == Fault.CUT_AFTER);
          silent.compareAndSet(false, fault == Fault.SILENCE);
        } else if (cutAtAnswer.get()) {
          return;
        }
        if (!silent.get()) {
          out.write(buffer, 0, n);
          out.flush();
        }
      }
    } catch (IOException e) {
      // One end is gone, and closing tells the other.
    }
  }

  private Fault faultOf(String request) {
    Trap armed = trap;
    if (armed == null || !request.contains(armed.word)) {
      return null;
    }
    trap = null;
    return armed.fault;
  }

  private static void start(Runnable task) {
    Thread thread = new Thread(task, "proxy");
    thread.setDaemon(true);
    thread.start();
  }

  private static void close(Socket socket) {
    try {
      socket.close();
    } catch (IOException e) {
      // It is closed all the same.
    }
  }

  @Override
  public void close() throws IOException {
    listening.close();
    cut();
  }
}
