// Takes pictures of the contact sheet, a card each, and prints what the page has found, as JSON.
//
// Usage: node cards.mjs <page> <browser> <folder for pictures>
import { chromium } from "playwright-core";
import { pathToFileURL } from "node:url";

const [file, executablePath, folder] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND"] });
const found = {};
try {
  for (const theme of ["light", "dark"]) {
    const page = await browser.newPage({ viewport: { width: 1150, height: 900 }, colorScheme: theme });
    page.on("pageerror", (error) => { throw error; });
    await page.goto(`${pathToFileURL(file)}#${theme}`);
    found[theme] = await page.evaluate(() => window.findings());
    for (const section of await page.locator("section").all()) {
      await section.screenshot({ path: `${folder}/${await section.getAttribute("id")}.${theme}.png` });
    }
    await page.close();
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify(found));
