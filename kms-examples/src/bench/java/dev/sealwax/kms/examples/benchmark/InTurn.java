package dev.sealwax.kms.examples.benchmark;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Encryption or decryption by several columns in turn, one message each: one column is the usual
 * case, many are many tenants.
 */
final class InTurn implements Interleave.Operation {
  private final Column[] columns;
  private final byte[][] inputs;
  private final boolean encrypts;
  private int next;

  private InTurn(List<? extends Column> columns, List<byte[]> inputs, boolean encrypts) {
    this.columns = columns.toArray(Column[]::new);
    this.inputs = inputs.toArray(byte[][]::new);
    this.encrypts = encrypts;
  }

  static InTurn encrypting(List<? extends Column> columns, int sizeBytes) {
    List<byte[]> inputs = new ArrayList<>();
    columns.forEach(column -> inputs.add(plaintext(sizeBytes)));
    return new InTurn(columns, inputs, true);
  }

  static InTurn decrypting(List<? extends Column> columns, int sizeBytes) throws Exception {
    List<byte[]> inputs = new ArrayList<>();
    for (Column column : columns) {
      byte[] sealed = column.encrypt(plaintext(sizeBytes));
      if (!Arrays.equals(plaintext(sizeBytes), column.decrypt(sealed))) {
        throw new IllegalStateException(column.name() + " does not return what it was given");
      }
      inputs.add(sealed);
    }
    return new InTurn(columns, inputs, false);
  }

  private static byte[] plaintext(int sizeBytes) {
    byte[] plaintext = new byte[sizeBytes];
    Arrays.fill(plaintext, (byte) 'p');
    return plaintext;
  }

  @Override
  public byte[] run() throws Exception {
    int i = next;
    next = i + 1 == columns.length ? 0 : i + 1;
    return encrypts ? columns[i].encrypt(inputs[i]) : columns[i].decrypt(inputs[i]);
  }
}
