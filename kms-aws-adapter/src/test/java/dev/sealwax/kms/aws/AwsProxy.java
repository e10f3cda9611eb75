package dev.sealwax.kms.aws;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Our own proxy in front of moto, for what moto lacks; nothing of it is AWS.
 *
 * <p>Always: an answer by a key that is not enabled becomes the refusal of AWS; a ciphertext of
 * another key is an incorrect key, where moto denies access; the encryption context reaches moto as
 * one pair, because moto takes a=1b2 for a=1, b=2; requests to DynamoDB go one after the other,
 * because a transaction that moto rolls back takes the writes of others with it. On demand: faults,
 * by operation.
 */
final class AwsProxy implements AutoCloseable {
  /** What goes wrong with one request. */
  interface Fault {
    void meet(AwsProxy proxy, HttpExchange exchange, String target, byte[] body)
        throws IOException, InterruptedException;
  }

  record Answer(int status, String text) {}

  private static final Set<String> DATA_OPERATIONS =
      Set.of("Encrypt", "Decrypt", "GenerateDataKey", "Sign");
  private static final Set<String> READ_OPERATIONS =
      Set.of("DescribeKey", "GetPublicKey", "ListAliases");

  /** Changes of keys that a proxy has passed on. */
  private static final AtomicLong CHANGES = new AtomicLong();

  /** Keys that were enabled after so many changes. */
  private static final Map<String, Long> ENABLED_AFTER = new ConcurrentHashMap<>();

  private static final Set<String> NOT_FORWARDED =
      Set.of("host", "connection", "content-length", "expect", "upgrade");
  private static final Pattern KEY_ID = Pattern.compile("\"KeyId\":\\s*\"([^\"]+)\"");
  private static final Pattern KEY_STATE = Pattern.compile("\"KeyState\":\\s*\"([^\"]+)\"");

  private static final Pattern CONTEXT =
      Pattern.compile("\"EncryptionContext\":(\\{(?:\"(?:[^\"\\\\]++|\\\\.)*+\"|[^\"}])*+\\})");

  static {
    // Else the second of the two packets of an answer waits for a late acknowledgement of the
    // first.
    System.setProperty("sun.net.httpserver.nodelay", "true");
  }

  private final HttpServer server;
  private final URI target;
  private final HttpClient client =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  private final ExecutorService threads = Executors.newCachedThreadPool();
  private final ReentrantLock dynamoDb = new ReentrantLock();
  private final Map<String, Queue<Fault>> next = new ConcurrentHashMap<>();
  private final Map<String, Fault> always = new ConcurrentHashMap<>();
  private final List<String> calls = new CopyOnWriteArrayList<>();
  private final Map<String, String> lastBody = new ConcurrentHashMap<>();

  private AwsProxy(HttpServer server, URI target) {
    this.server = server;
    this.target = target;
  }

  static AwsProxy before(Moto moto) {
    try {
      HttpServer server =
          HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
      AwsProxy proxy = new AwsProxy(server, moto.endpoint());
      server.createContext("/", proxy::serve);
      server.setExecutor(proxy.threads);
      server.start();
      return proxy;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  URI endpoint() {
    return URI.create("http://127.0.0.1:" + server.getAddress().getPort());
  }

  /** Lets the next requests of an operation meet these faults in order. */
  void next(String operation, Fault... faults) {
    next.computeIfAbsent(operation, any -> new ConcurrentLinkedQueue<>())
        .addAll(Arrays.asList(faults));
  }

  /** Lets every request of an operation meet this fault, until {@link #heal}. */
  void always(String operation, Fault fault) {
    always.put(operation, fault);
  }

  void heal() {
    next.clear();
    always.clear();
  }

  /** Requests of an operation since the start, those that met a fault included. */
  long calls(String operation) {
    return calls.stream().filter(operation::equals).count();
  }

  /** What the latest request of an operation said. */
  String lastBody(String operation) {
    return lastBody.getOrDefault(operation, "");
  }

  // --- faults ---

  /** An error as AWS words it in JSON. */
  static Fault error(int status, String code) {
    return error(status, code, "injected");
  }

  static Fault error(int status, String code, String message) {
    String body = "{\"__type\":\"" + code + "\",\"message\":\"" + message + "\"}";
    return (proxy, exchange, target, request) -> proxy.send(exchange, status, body);
  }

  /** Whatever some box on the way says. */
  static Fault page(int status, String body) {
    return (proxy, exchange, target, request) -> proxy.send(exchange, status, body);
  }

  /** The connection ends before the request is passed on. */
  static Fault reset() {
    return (proxy, exchange, target, request) -> exchange.close();
  }

  /** The request is carried out, and the connection ends before the answer. */
  static Fault answerLost() {
    return (proxy, exchange, target, request) -> {
      proxy.forward(exchange, target, request);
      exchange.close();
    };
  }

  /** Half of the answer, as if it were all. */
  static Fault truncated() {
    return (proxy, exchange, target, request) -> {
      String answer = proxy.forward(exchange, target, request).text();
      proxy.send(exchange, 200, answer.substring(0, answer.length() / 2));
    };
  }

  /** The right answer, altered. */
  static Fault altering(UnaryOperator<String> change) {
    return (proxy, exchange, target, request) -> {
      Answer answer = proxy.forward(exchange, target, request);
      proxy.send(exchange, answer.status(), change.apply(answer.text()));
    };
  }

  /** Another request is passed on, and the answer altered. */
  static Fault altering(UnaryOperator<String> request, UnaryOperator<String> answer) {
    return (proxy, exchange, target, body) -> {
      byte[] altered =
          request.apply(new String(body, StandardCharsets.UTF_8)).getBytes(StandardCharsets.UTF_8);
      Answer right = proxy.forward(exchange, target, altered);
      proxy.send(exchange, right.status(), answer.apply(right.text()));
    };
  }

  /** No answer until the latch is released. */
  static Fault hanging(CountDownLatch release) {
    return (proxy, exchange, target, request) -> {
      release.await();
      exchange.close();
    };
  }

  // --- passing on ---

  private void serve(HttpExchange exchange) throws IOException {
    try {
      String target = String.valueOf(exchange.getRequestHeaders().getFirst("X-Amz-Target"));
      String operation = target.substring(target.indexOf('.') + 1);
      byte[] body = exchange.getRequestBody().readAllBytes();
      calls.add(operation);
      lastBody.put(operation, new String(body, StandardCharsets.UTF_8));
      Queue<Fault> scripted = next.get(operation);
      Fault fault = scripted == null ? null : scripted.poll();
      fault = fault != null ? fault : always.get(operation);
      if (fault != null) {
        fault.meet(this, exchange, target, body);
      } else {
        Answer answer = forward(exchange, target, body);
        send(exchange, answer.status(), answer.text());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      exchange.close();
    }
  }

  /** Has a request carried out by moto, under the headers of one that has come. */
  Answer forward(HttpExchange exchange, String target, byte[] body)
      throws IOException, InterruptedException {
    boolean database = target.startsWith("DynamoDB");
    if (database) {
      dynamoDb.lock();
    }
    String operation = target.substring(target.indexOf('.') + 1);
    boolean change =
        !database && !DATA_OPERATIONS.contains(operation) && !READ_OPERATIONS.contains(operation);
    try {
      Answer answer = ask(exchange, target, database ? body : withContextAsOnePair(body));
      return DATA_OPERATIONS.contains(operation) ? asAws(exchange, operation, answer) : answer;
    } finally {
      if (change) {
        CHANGES.incrementAndGet();
      }
      if (database) {
        dynamoDb.unlock();
      }
    }
  }

  private static byte[] withContextAsOnePair(byte[] body) {
    return CONTEXT
        .matcher(new String(body, StandardCharsets.UTF_8))
        .replaceFirst(
            found ->
                found.group(1).equals("{}")
                    ? found.group()
                    : "\"EncryptionContext\":{\"all\":\""
                        + Base64.getEncoder()
                            .encodeToString(found.group(1).getBytes(StandardCharsets.UTF_8))
                        + "\"}")
        .getBytes(StandardCharsets.UTF_8);
  }

  private Answer asAws(HttpExchange exchange, String operation, Answer answer)
      throws IOException, InterruptedException {
    if (operation.equals("Decrypt") && answer.text().contains("AccessDeniedException")) {
      return refusal("IncorrectKeyException");
    }
    Matcher key = KEY_ID.matcher(answer.text());
    long changes = CHANGES.get();
    if (answer.status() != 200
        || !key.find()
        || Long.valueOf(changes).equals(ENABLED_AFTER.get(key.group(1)))) {
      return answer;
    }
    String question = "{\"KeyId\":\"" + key.group(1) + "\"}";
    Answer description =
        ask(exchange, "TrentService.DescribeKey", question.getBytes(StandardCharsets.UTF_8));
    Matcher state = KEY_STATE.matcher(description.text());
    if (!state.find()) {
      return answer;
    }
    if (state.group(1).equals("Enabled")) {
      ENABLED_AFTER.put(key.group(1), changes);
      return answer;
    }
    return refusal(
        state.group(1).equals("Disabled") ? "DisabledException" : "KMSInvalidStateException");
  }

  private static Answer refusal(String code) {
    return new Answer(400, "{\"__type\":\"" + code + "\"}");
  }

  private Answer ask(HttpExchange exchange, String target, byte[] body)
      throws IOException, InterruptedException {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(this.target).POST(HttpRequest.BodyPublishers.ofByteArray(body));
    exchange
        .getRequestHeaders()
        .forEach(
            (name, values) -> {
              if (!NOT_FORWARDED.contains(name.toLowerCase(java.util.Locale.ROOT))) {
                values.forEach(value -> request.header(name, value));
              }
            });
    request.setHeader("X-Amz-Target", target);
    HttpResponse<String> response =
        client.send(request.build(), HttpResponse.BodyHandlers.ofString(StandardCharsets.UTF_8));
    return new Answer(response.statusCode(), response.body());
  }

  void send(HttpExchange exchange, int status, String text) throws IOException {
    byte[] body = text.getBytes(StandardCharsets.UTF_8);
    exchange.getResponseHeaders().set("Content-Type", "application/x-amz-json-1.1");
    exchange.getResponseHeaders().set("x-amzn-RequestId", "request-of-the-proxy");
    exchange.sendResponseHeaders(status, body.length == 0 ? -1 : body.length);
    if (body.length > 0) {
      exchange.getResponseBody().write(body);
    }
    exchange.close();
  }

  @Override
  public void close() {
    server.stop(0);
    threads.shutdownNow();
  }
}
