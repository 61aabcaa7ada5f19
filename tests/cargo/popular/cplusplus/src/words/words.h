#pragma once
#include "rust/cxx.h"
#include <map>
#include <memory>
#include <string>

class Words {
public:
    void add(rust::Str text);
    std::size_t count(const std::string &word) const;
    rust::String list() const;

private:
    std::map<std::string, std::size_t> counts;
};

std::unique_ptr<Words> words();
double number(rust::Str text);
std::size_t constructed();
std::size_t in_threads(std::size_t n);
