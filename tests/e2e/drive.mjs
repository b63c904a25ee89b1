// Plays a list of steps in the Agents Playground's page and prints what the page showed after each.
//
// Usage: node drive.mjs <address of the page> <browser> <steps as JSON> <folder for pictures>
// A step is one of {say: text}, {press: label}, {choose: entry, press: label}, each with `expect`: text to wait for.
import { chromium } from "playwright-core";

const [address, executablePath, steps, folder] = process.argv.slice(2);
const PATIENCE = 30_000;

// The page may still be busy when it looks ready, and then loses what is typed.
async function write(page, text) {
  const box = page.locator("[role=textbox][data-lexical-editor=true]").first();
  for (let attempt = 0; attempt < 10; attempt += 1) {
    await box.click({ timeout: PATIENCE });
    await page.keyboard.press("Control+A");
    await page.keyboard.type(text);
    await page.waitForTimeout(200);
    if ((await box.innerText()).trim() === text) {
      await page.keyboard.press("Enter");
      return;
    }
    await page.waitForTimeout(500);
  }
  throw new Error(`the page does not take text: ${await box.innerText()}`);
}

const browser = await chromium.launch({
  executablePath,
  headless: true,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
  ],
});
const seen = [];
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 1400 } });
  await page.goto(address, { waitUntil: "domcontentloaded" });
  const box = page.locator("[role=textbox][data-lexical-editor=true]").first();
  await box.waitFor({ timeout: PATIENCE });
  await page.getByText("Say what you want to know").waitFor({ timeout: PATIENCE });
  for (const [number, step] of JSON.parse(steps).entries()) {
    if (step.say !== undefined) {
      await write(page, step.say);
    } else {
      if (step.choose !== undefined) {
        await page.getByRole("combobox").last().selectOption({ label: step.choose });
      }
      await page.getByRole("button", { name: step.press, exact: true }).last().click({ timeout: PATIENCE });
    }
    if (step.expect !== undefined) {
      await page.getByText(step.expect).last().waitFor({ timeout: PATIENCE });
    }
    if (step.gone !== undefined) {
      await page.getByRole("button", { name: step.gone, exact: true }).waitFor({ state: "detached", timeout: PATIENCE });
    }
    await page.waitForTimeout(400);
    const name = `${String(number + 1).padStart(2, "0")}-${step.name}.png`;
    await page.screenshot({ path: `${folder}/${name}` });
    seen.push({ name, text: await page.locator("body").innerText() });
  }
} catch (error) {
  const page = browser.contexts()[0]?.pages()[0];
  if (page) {
    await page.screenshot({ path: `${folder}/failed.png` });
    seen.push({ name: "failed.png", text: await page.locator("body").innerText() });
  }
  seen.push({ failed: String(error) });
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
process.exitCode = seen.some((each) => each.failed !== undefined) ? 1 : 0;
