package dev.sealwax.kms.envelope;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.io.IOException;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The second opinion: a reader in another language, on another cryptographic library, agrees with
 * this one.
 */
final class NodeDecoderTest {
  private static final JsonFactory JSON = new JsonFactory();
  private static final String KEYSET = "node.decoder";

  private final Random random = new Random(20261124);

  @TempDir private Path directory;

  @Test
  void verify_passesOnEveryVector() throws Exception {
    List<String> lines =
        node(Files.createFile(directory.resolve("empty")), "verify.mjs", "envelope-v1");
    assertEquals(
        EnvelopeVector.all().size() + 2 + " passed, 0 failed", lines.get(lines.size() - 1));
  }

  @Test
  void generate_wouldWriteTheFilesThatAreCheckedIn() throws Exception {
    List<String> lines =
        node(Files.createFile(directory.resolve("empty")), "generate.mjs", "--check");
    assertEquals(
        EnvelopeVector.all().size() + " files generated, 0 differ", lines.get(lines.size() - 1));
  }

  @Test
  void open_agreesOnFreshEnvelopes() throws Exception {
    List<VectorOpener.Key> keys =
        List.of(
            new VectorOpener.Key(1, "ENABLED", bytes(32)),
            new VectorOpener.Key(2, "ENABLED", bytes(32)));
    List<String> requests = new ArrayList<>();
    List<String> answers = new ArrayList<>();
    try (VectorOpener opener = EnvelopeVectorOpener.create(KEYSET, keys)) {
      for (int i = 0; i < 300; i++) {
        Map<String, String> context = context(i % 5);
        byte[] plaintext = bytes(i % 20 == 0 ? 32768 - 2 + i / 20 : random.nextInt(300));
        EncryptionContext stated = EncryptionContext.of(context);
        byte[] envelope =
            i % 2 == 0 ? opener.seal(stated, plaintext) : opener.sealStream(stated, plaintext);
        requests.add(request(keys, context, envelope));
        answers.add(
            "{\"result\":\"success\",\"plaintext\":\""
                + Base64.getEncoder().encodeToString(plaintext)
                + "\"}");
        // And what must not open: the same envelope with one bit of its body changed.
        envelope[82 + KEYSET.length() + random.nextInt(envelope.length - 82 - KEYSET.length())] ^=
            4;
        requests.add(request(keys, context, envelope));
        answers.add("{\"result\":\"decryption-failed\"}");
      }
    }
    Path input = Files.write(directory.resolve("requests"), requests);
    assertEquals(answers, node(input, "verify.mjs", "--open"));
  }

  /**
   * Pairs of random characters, with keys from both sides of the surrogates so that the order
   * matters.
   */
  private Map<String, String> context(int pairs) {
    Map<String, String> context = new LinkedHashMap<>();
    while (context.size() < pairs) {
      context.put(characters(1 + random.nextInt(4)), characters(random.nextInt(12)));
    }
    return context;
  }

  private String characters(int count) {
    StringBuilder out = new StringBuilder();
    for (int i = 0; i < count; i++) {
      out.appendCodePoint(
          switch (random.nextInt(4)) {
            case 0 -> random.nextInt(0x80);
            case 1 -> 0x80 + random.nextInt(0xd800 - 0x80);
            case 2 -> 0xe000 + random.nextInt(0x10000 - 0xe000);
            default -> 0x10000 + random.nextInt(0x110000 - 0x10000);
          });
    }
    return out.toString();
  }

  private byte[] bytes(int length) {
    byte[] out = new byte[length];
    random.nextBytes(out);
    return out;
  }

  private static String request(
      List<VectorOpener.Key> keys, Map<String, String> context, byte[] envelope)
      throws IOException {
    StringWriter line = new StringWriter();
    try (JsonGenerator json = JSON.createGenerator(line)) {
      json.writeStartObject();
      json.writeStringField("keyset", KEYSET);
      json.writeArrayFieldStart("keys");
      for (VectorOpener.Key key : keys) {
        json.writeStartObject();
        json.writeNumberField("version", key.version());
        json.writeStringField("state", key.state());
        json.writeStringField("kek", HexFormat.of().formatHex(key.kek()));
        json.writeEndObject();
      }
      json.writeEndArray();
      json.writeObjectFieldStart("context");
      for (Map.Entry<String, String> pair : context.entrySet()) {
        json.writeStringField(pair.getKey(), pair.getValue());
      }
      json.writeEndObject();
      json.writeStringField("envelope", Base64.getEncoder().encodeToString(envelope));
      json.writeEndObject();
    }
    return line.toString();
  }

  /** Runs a script of testvectors, there, and returns the lines it prints. */
  private List<String> node(Path input, String... arguments) throws Exception {
    List<String> command = new ArrayList<>(List.of("node"));
    command.addAll(List.of(arguments));
    Path output = directory.resolve("output");
    ProcessBuilder builder =
        new ProcessBuilder(command)
            .directory(EnvelopeVector.DIRECTORY.toFile())
            .redirectInput(input.toFile())
            .redirectErrorStream(true)
            .redirectOutput(output.toFile());
    Process process;
    try {
      process = builder.start();
    } catch (IOException e) {
      return fail(
          "node is not on the PATH: install Node.js 18 or later, the build needs its second"
              + " opinion",
          e);
    }
    try {
      assertTrue(process.waitFor(2, TimeUnit.MINUTES), command + " does not end");
    } finally {
      process.destroyForcibly();
    }
    List<String> lines = Files.readAllLines(output);
    assertEquals(0, process.exitValue(), () -> command + " failed:\n" + String.join("\n", lines));
    return lines;
  }
}
