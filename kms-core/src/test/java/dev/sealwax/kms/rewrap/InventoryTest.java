package dev.sealwax.kms.rewrap;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.envelope.EnvelopeInfo;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import org.junit.jupiter.api.Test;

class InventoryTest {
  private static final KeysetId ORDERS = KeysetId.of(RewrapRig.ORDERS);
  private static final KeysetId CUSTOMERS = KeysetId.of(RewrapRig.CUSTOMERS);

  @Test
  void count_tellsClaimsFromWhatIsVerified() throws IOException {
    try (RewrapRig rig = RewrapRig.create()) {
      ListSource source = new ListSource();
      source.with("a", rig.sealed("a")).with("b", rig.sealed("b"));
      source.with("c", rig.sealed(RewrapRig.CUSTOMERS, "c"));
      source.with("d", ListSource.NO_VALUE).with("e", new byte[] {1});
      rig.kms.keysets().rotate(RewrapRig.ORDERS);
      source.with("f", rig.sealed("f"));
      byte[] forged = rig.sealed("g");
      forged[EnvelopeInfo.inspect(forged).headerLengthBytes() - 1] ^= 1;
      source.with("g", forged);

      InventoryReport claims = Inventory.ofClaims().count(List.of(source, new ListSource()));
      InventoryReport verified = Inventory.verifiedBy(List.of(rig.orders())).count(List.of(source));

      assertEquals(
          List.of(
              new InventoryReport.Row(CUSTOMERS, 1, 1, 0),
              new InventoryReport.Row(ORDERS, 1, 2, 0),
              new InventoryReport.Row(ORDERS, 2, 2, 0)),
          claims.rows());
      assertEquals(
          List.of(
              new InventoryReport.Row(CUSTOMERS, 1, 1, 0),
              new InventoryReport.Row(ORDERS, 1, 2, 2),
              new InventoryReport.Row(ORDERS, 2, 2, 1)),
          verified.rows());
      assertEquals(1, claims.withoutValue());
      assertEquals(1, claims.noEnvelopes());
      assertTrue(verified.describe().startsWith("customers version 1: 1 claimed, 0 verified"));
    }
  }

  @Test
  void count_ofForgedVersionsWithoutEnd_staysInItsTable() throws IOException {
    try (RewrapRig rig = RewrapRig.create()) {
      byte[] genuine = rig.sealed("a");
      int version = EnvelopeInfo.inspect(genuine).headerLengthBytes() - 76;
      ListSource source = new ListSource();
      int forgeries = InventoryCount.MAX_ROWS + 50;
      for (int i = 0; i < forgeries; i++) {
        byte[] forged = genuine.clone();
        ByteBuffer.wrap(forged).putInt(version, 1000 + i);
        source.with(String.format("%08d", i), forged);
      }
      source.with("z", genuine);
      InventoryReport report = Inventory.verifiedBy(List.of(rig.orders())).count(List.of(source));
      assertEquals(InventoryCount.MAX_ROWS + 1, report.rows().size());
      assertEquals(50, report.beyondTheTable());
      assertEquals(new InventoryReport.Row(ORDERS, 1, 1, 1), report.rows().get(0));
    }
  }
}
